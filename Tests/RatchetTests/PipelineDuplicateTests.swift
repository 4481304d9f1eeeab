import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: one event, many deliveries", .timeLimit(.minutes(30)))
struct PipelineDuplicateTests {
    private struct Failure: Error {}

    private static let other = TopicPartition("orders", 1)

    /// Messages of one lane each, so that only their ids hold them up.
    private static func samples(from offset: Int64 = 0, _ ids: [String]) -> [SampleMessage] {
        ids.enumerated().map { SampleMessage(offset + Int64($0.offset), key: "k\($0.offset)", id: $0.element) }
    }

    @Test(
        "Equal keys within a batch, across batches and partitions in flight, with handlers that fail: one effect each",
        arguments: PipelineBench.Kind.allCases,
        Seed.some(8)
    )
    func histories(kind: PipelineBench.Kind, seed: Seed) async throws {
        var random = seed.random
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.retries = RetryPolicy(attempts: 1000, initialDelay: .zero)
        configuration.concurrency = random.below(4) + 1
        configuration.batch = random.below(12) + 1
        configuration.ordering = [.key, .partition, .none][random.below(3)]
        let failures = Mutex(seed.random)
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { _, _ in
            if failures.withLock({ $0.chance(25) }) { throw Failure() }
        }
        var offsets: [String: [Int64]] = [:]
        let partitions = [TopicPartition.orders, Self.other]
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            await source.assign(Self.other, log: 1000..<2000)
            var ends: [Int64] = [0, 1000]
            for _ in 0..<30 {
                let at = random.below(2)
                let batch = (0..<random.below(8) + 1).map { index in
                    let id = "id\(random.below(25))"
                    let offset = ends[at] + Int64(index)
                    offsets[id, default: []].append(offset)
                    return SampleMessage(offset, key: "k\(random.below(4))", id: id)
                }
                ends[at] += Int64(batch.count)
                try source.deliver(batch, of: partitions[at])
            }
            await pipeline.settled(through: [.orders: ends[0], Self.other: ends[1]])
        }
        #expect(error == nil)
        for (id, deliveries) in offsets {
            let effects = try deliveries.reduce(0) { try $0 + bench.count($1) }
            #expect(effects == 1, "\(id) at \(deliveries)")
        }
        let delivered = offsets.values.reduce(0) { $0 + $1.count }
        #expect(pipeline.statistics.processed == offsets.count)
        #expect(pipeline.statistics.duplicates == delivered - offsets.count)
        #expect(try bench.ledger.totals().duplicates == delivered - offsets.count)
    }

    @Test("While the first copy waits to be retried, its duplicates wait and hold no worker", arguments: [1, 2])
    func retried(concurrency: Int) async throws {
        let time = ManualTime()
        var settings = Ledger.Configuration.quick
        settings.time = time.source
        let bench = try PipelineBench(settings)
        var configuration = PipelineBench.configuration
        configuration.clock = time.clock
        configuration.concurrency = concurrency
        configuration.retries = RetryPolicy(initialDelay: .seconds(60), maximumDelay: .seconds(60), jitter: 0)
        let source = ScriptedSource()
        let last = Latch()
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, context in
            if message.offset == 0, context.attempt < 3 { throw Failure() }
            if message.offset == 9 { last.open() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(["x", "x", "x", "x", "a"]))
            try source.deliver([SampleMessage(5, key: "l", id: "x"), SampleMessage(6, key: "m", id: "b")])
            try source.deliver([SampleMessage(9, key: "n", id: "c")], start: 7)
            await last.wait()
            for _ in 0..<2 {
                await time.untilSleeping(milliseconds: 60_000)
                let watermark = try await bench.watermark()
                #expect(watermark == 0)
                time.advance(milliseconds: 60_000)
            }
            await pipeline.settled(through: [.orders: 10])
        }
        #expect(error == nil)
        #expect(bench.runs.filter { $0.offset == 0 }.map(\.attempt) == [1, 2, 3])
        #expect(Set(bench.runs.map(\.offset)) == [0, 4, 6, 9])
        #expect(pipeline.statistics.processed == 4)
        #expect(pipeline.statistics.duplicates == 4)
        #expect(source.committed() == 10)
    }

    @Test(
        "Duplicates of a dead letter are attached to it, whether they waited or came later",
        arguments: PipelineBench.Kind.allCases
    )
    func deadLettered(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.retries = RetryPolicy(attempts: 3, initialDelay: .zero)
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, _ in
            if message.header(Header.messageIDName) == Array("x".utf8) { throw Failure() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(["x", "x", "a", "x"]))
            await pipeline.settled(through: [.orders: 4])
            try source.deliver(Self.samples(from: 4, ["b", "x"]))
            await pipeline.settled(through: [.orders: 6])
        }
        #expect(error == nil)
        let letters = try bench.ledger.reader.deadLetters()
        #expect(letters.map(\.attempts) == [3])
        let letter = try #require(letters.first)
        #expect(letter.deliveryCount == 3)
        #expect(Set(letter.deliveries.map(\.offset) + [letter.offset]) == [0, 1, 3, 5])
        #expect(pipeline.statistics.deadLettered == 1)
        #expect(pipeline.statistics.duplicates == 3)
        #expect(source.committed() == 6)
    }

    /// Two partitions whose first messages are one event: the one of `orders` has begun, the other one waits for it.
    private static func waiting(
        _ configuration: PipelineConfiguration = PipelineBench.configuration,
        first: @escaping @Sendable (Int) async throws -> Void,
        _ body: (PipelineBench, ScriptedSource, Pipeline<Message>) async throws -> Void
    ) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let (started, passed) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, context in
            switch (message.partition, message.offset) {
            case (0, _):
                started.open()
                try await first(context.attempt)
            case (_, 1001): passed.open()
            default: break
            }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            await source.assign(other, log: 1000..<2000)
            try source.deliver(samples(["x"]))
            await started.wait()
            try source.deliver(samples(from: 1000, ["x", "y"]), of: other)
            await passed.wait()
            try await body(bench, source, pipeline)
        }
        #expect(error == nil)
    }

    @Test("A revoked partition does not wait for the outcome of an event that runs in another one")
    func waiterRevoked() async throws {
        let gate = Latch()
        try await Self.waiting(first: { _ in await gate.wait() }) { bench, source, pipeline in
            source.say(.revoking([Self.other], within: .seconds(600)))
            await source.until { $0.contains(.release(Self.other)) }
            #expect(source.committed(Self.other) == 1000)
            gate.open()
            await pipeline.settled(through: [.orders: 1])
            // Assigned again, it is a duplicate at once.
            await source.assign(Self.other, generation: 2, log: 1000..<2000)
            try source.deliver(Self.samples(from: 1000, ["x", "y"]), of: Self.other, generation: 2)
            await pipeline.settled(through: [Self.other: 1002])
            let effects = try [0, 1000, 1001].map { try bench.count($0) }
            #expect(effects == [1, 0, 1])
        }
    }

    @Test("When the first copy's partition goes while it waits to be retried, the other copy runs at once")
    func retriedOneRevoked() async throws {
        var configuration = PipelineBench.configuration
        configuration.retries = RetryPolicy(initialDelay: .seconds(3600), maximumDelay: .seconds(3600))
        try await Self.waiting(configuration, first: { _ in throw Failure() }) { bench, source, pipeline in
            source.say(.revoking([.orders], within: .seconds(600)))
            await pipeline.settled(through: [Self.other: 1002])
            await source.until { $0.contains(.release(.orders)) }
            let effects = try [0, 1000, 1001].map { try bench.count($0) }
            #expect(effects == [0, 1, 1])
        }
    }

    @Test("When the first copy's partition is lost while it runs, the other copy waits for its end and then runs")
    func runningOneLost() async throws {
        let gate = Latch()
        try await Self.waiting(first: { _ in await gate.wait() }) { bench, source, pipeline in
            source.say(.lost([.orders]))
            await source.assign(TopicPartition("orders", 2))
            let before = bench.runs.map(\.offset)
            #expect(before.sorted() == [0, 1001])
            gate.open()
            await pipeline.settled(through: [Self.other: 1002])
            let effects = try [0, 1000, 1001].map { try bench.count($0) }
            #expect(effects == [0, 1, 1])
        }
    }
}
