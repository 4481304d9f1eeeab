import Testing

@testable import Ratchet

@Suite("Pipeline: older generations", .timeLimit(.minutes(30)))
struct PipelineFencingTests {
    private static func samples(_ offsets: Range<Int64>, _ prefix: String = "id") -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k\($0)", id: "\(prefix)\($0)") }
    }

    @Test(
        "Messages of an older generation that arrive after revocation and assignment have no effect and move nothing",
        arguments: PipelineBench.Kind.allCases,
        [true, false]
    )
    func staleMessages(kind: PipelineBench.Kind, isLost: Bool) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind)
        let error = try await bench.run(pipeline, source) {
            await source.assign(generation: 4)
            try source.deliver(Self.samples(0..<2), generation: 4)
            await pipeline.settled(through: [.orders: 2])
            if isLost {
                source.say(.lost([.orders]))
            } else {
                source.say(.revoking([.orders], within: .seconds(600)))
                await source.until { $0.contains(.release(.orders)) }
            }
            // Nobody's now.
            try source.deliver(Self.samples(2..<6, "stale"), generation: 4)
            await source.assign(generation: 5)
            try source.deliver(Self.samples(2..<6, "stale"), generation: 4)
            try source.deliver(Self.samples(0..<4), generation: 5)
            try source.deliver(Self.samples(4..<9, "stale"), generation: 4)
            await pipeline.settled(through: [.orders: 4])
        }
        #expect(error == nil)
        #expect(source.calls.contains(.start(.orders, at: 2)))
        #expect(source.committed() == 4)
        #expect(try await bench.watermark() == 4)
        #expect(try (0..<9).map { try bench.count($0) } == [1, 1, 1, 1, 0, 0, 0, 0, 0])
        #expect(pipeline.statistics.delivered == 6)
        #expect(pipeline.statistics.redelivered == 2)
        #expect(bench.ledger.keyCount == 4)
    }
}
