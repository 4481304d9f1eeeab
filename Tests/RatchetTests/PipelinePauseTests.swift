import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: a partition is never paused for ever", .timeLimit(.minutes(30)))
struct PipelinePauseTests {
    private struct Failure: Error {}

    private static let other = TopicPartition("orders", 1)

    private static func samples(_ offsets: Range<Int64>) -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k\($0)", id: "id\($0)") }
    }

    /// Whether the last that the source heard of a partition is that it may be delivered.
    private static func isResumed(_ partition: TopicPartition, _ calls: [ScriptedSource.Call]) -> Bool {
        let last = calls.last { $0 == .pause(partition) || $0 == .resume(partition) }
        return last != .pause(partition)
    }

    @Test(
        "However pauses and resumes meet, in the end every partition is resumed",
        arguments: PipelineBench.Kind.allCases,
        Seed.some(12)
    )
    func histories(kind: PipelineBench.Kind, seed: Seed) async throws {
        var random = seed.random
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.partitionInFlight = random.below(12) + 1
        configuration.inFlight = random.below(20) + 1
        configuration.inFlightBytes = random.chance(50) ? random.below(500) + 1 : 1 << 20
        configuration.batch = random.below(5) + 1
        configuration.batchesInFlight = random.below(3) + 1
        configuration.concurrency = random.below(6) + 1
        configuration.retries = RetryPolicy(attempts: 1000, initialDelay: .zero)
        let failures = Mutex(seed.random)
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { _, _ in
            if failures.withLock({ $0.chance(10) }) { throw Failure() }
        }
        let partitions = (0..<random.below(3) + 1).map { TopicPartition("orders", $0) }
        let error = try await bench.run(pipeline, source) {
            for (number, partition) in partitions.enumerated() {
                await source.assign(partition, log: Int64(number) * 1000..<Int64(number) * 1000 + 1000)
            }
            var ends = partitions.indices.map { Int64($0) * 1000 }
            for _ in 0..<60 {
                let at = random.below(partitions.count)
                let start = ends[at]
                ends[at] += Int64(random.below(9) + 1)
                try source.deliver(Self.samples(start..<ends[at]), of: partitions[at])
                if random.chance(20) { await pipeline.settled(through: [partitions[at]: ends[at]]) }
            }
            await pipeline.settled(through: Dictionary(uniqueKeysWithValues: zip(partitions, ends)))
            await source.until { calls in partitions.allSatisfy { Self.isResumed($0, calls) } }
        }
        #expect(error == nil)
        #expect(source.calls.contains { if case .pause = $0 { true } else { false } })
    }

    /// A pipeline whose limit is reached by handlers of one partition that wait, and which has paused another one for
    /// it.
    private static func full(
        concurrency: Int,
        _ body: (ScriptedSource, Latch) async throws -> Void
    ) async throws {
        let bench = try PipelineBench()
        let gate = Latch()
        var configuration = PipelineBench.configuration
        configuration.concurrency = concurrency
        configuration.inFlight = 4
        let source = ScriptedSource()
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
            if message.generation == 1 { await gate.wait() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            await source.assign(other)
            try source.deliver(samples(0..<6))
            await source.until { $0.contains(.pause(.orders)) && $0.contains(.pause(other)) }
            try await body(source, gate)
            gate.open()
        }
        #expect(error == nil)
    }

    @Test("What a lost partition had in flight makes room for the others at once")
    func lost() async throws {
        try await Self.full(concurrency: 6) { source, _ in
            source.say(.lost([.orders]))
            await source.until { Self.isResumed(Self.other, $0) }
        }
    }

    @Test("What a revoked partition has not begun makes room for the others at once")
    func revoked() async throws {
        try await Self.full(concurrency: 2) { source, gate in
            source.say(.revoking([.orders], within: .seconds(600)))
            await source.until { Self.isResumed(Self.other, $0) }
            #expect(!source.calls.contains(.release(.orders)))
            gate.open()
            await source.until { $0.contains(.release(.orders)) }
        }
    }

    @Test("A partition that was paused when it was lost is delivered when it comes again")
    func comesAgain() async throws {
        try await Self.full(concurrency: 6) { source, _ in
            source.say(.lost([.orders]))
            await source.assign(generation: 2)
            await source.until { Self.isResumed(.orders, $0) }
        }
    }
}
