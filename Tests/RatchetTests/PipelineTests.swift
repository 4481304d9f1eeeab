import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: messages, failures and commits", .timeLimit(.minutes(30)))
struct PipelineTests {
    private struct Failure: Error {}

    private static func samples(_ offsets: Range<Int64>, keys: Int64 = 3) -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k\($0 % keys)", id: "id\($0)") }
    }

    @Test(
        "What is settled is committed, never more, and each effect happens once",
        arguments: PipelineBench.Kind.allCases
    )
    func commits(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.commitInterval = .milliseconds(1)
        configuration.batch = 7
        let source = ScriptedSource(committing: { commits in
            for commit in commits {
                let durable = try await bench.ledger.position(SettlementDriver.key(0))?.watermark
                #expect(commit.offset <= durable ?? 0)
                #expect(CommitMetadata(commit.metadata)?.ledger == bench.ledger.id)
            }
        })
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, attempt in
            if message.offset % 5 == 0, attempt < 3 { throw Failure() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            for start in stride(from: 0, to: 300, by: 20) as StrideTo<Int64> {
                try source.deliver(Self.samples(start..<start + 20))
            }
            await pipeline.settled(through: [.orders: 300])
        }
        #expect(error == nil)
        #expect(source.committed() == 300)
        for offset in 0..<300 as Range<Int64> { #expect(try bench.count(offset) == 1) }
        #expect(pipeline.statistics.processed == 300)
        #expect(pipeline.statistics.retries == 120)
    }

    @Test("A handler that throws never moves the offset; other keys go on", arguments: PipelineBench.Kind.allCases)
    func offsetStays(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.retries = RetryPolicy(attempts: 5, initialDelay: .seconds(3600), maximumDelay: .seconds(3600))
        let source = ScriptedSource()
        let others = Latch()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, _ in
            if message.offset == 6 { others.open() }
            if message.offset == 1 { throw Failure() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<8))
            await others.wait()
        }
        #expect(error == nil)
        #expect(try await bench.watermark() == 1)
        #expect(source.committed() == 1)
        #expect(try (0..<8).map { try bench.count($0) } == [1, 0, 1, 1, 0, 1, 1, 0])
    }

    @Test("A payload that does not decode is a dead letter, and the stream goes on")
    func poison() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let sum = StateTable<String, Int>("sum")
        let pipeline = Pipeline(
            "tests",
            from: source,
            ledger: bench.ledger,
            decoding: .json(Int.self),
            identifiedBy: .messageID,
            configuration: PipelineBench.configuration,
            transactional: { number, transaction in try transaction.update(sum, "all", default: 0) { $0 += number } }
        )
        let payloads = ["1", "{", "20", "{", "300"]
        let samples = payloads.enumerated().map {
            SampleMessage(Int64($0.offset), key: "k", id: "\($0.offset)", $0.element)
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(samples)
            await pipeline.settled(through: [.orders: 5])
        }
        #expect(error == nil)
        #expect(try bench.ledger.reader.get(sum, "all") == 321)
        let letters = try bench.ledger.reader.deadLetters()
        #expect(letters.map(\.reason) == [.undecodable])
        #expect(letters.first?.deliveryCount == 1)
        #expect(source.committed() == 5)
    }

    @Test("Retries keep the order of a key", arguments: PipelineBench.Kind.allCases, Seed.some(5))
    func order(kind: PipelineBench.Kind, seed: Seed) async throws {
        let bench = try PipelineBench()
        let random = Mutex(seed.random)
        let done = Mutex<[Int64]>([])
        var configuration = PipelineBench.configuration
        configuration.retries = RetryPolicy(attempts: 1000, initialDelay: .zero)
        configuration.batch = 5
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, _ in
            if random.withLock({ $0.chance(30) }) { throw Failure() }
            done.withLock { $0.append(message.offset) }
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<60))
            try source.deliver(Self.samples(60..<120))
            await pipeline.settled(through: [.orders: 120])
        }
        let order = done.withLock { $0 }
        for key in 0..<3 as Range<Int64> {
            let ofKey = order.filter { $0 % 3 == key }
            #expect(ofKey == ofKey.sorted())
            #expect(ofKey.count == 40)
        }
    }

    @Test(
        "An error that stops leaves the offset before its message, and the pipeline ends at once",
        arguments: PipelineBench.Kind.allCases
    )
    func stop(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.retries = RetryPolicy { _, _ in .stop }
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, _ in
            if message.offset == 3 { throw Failure() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<10, keys: 1))
            await source.until { $0.contains(.close) }
        }
        #expect((error as? PipelineError)?.code == .stopped)
        #expect((error as? PipelineError)?.underlying is Failure)
        #expect(try await bench.watermark() == 3)
        #expect(source.committed() == 3)
        #expect(try bench.count(3) == 0)
        #expect(try bench.count(4) == 0)
    }

    @Test("Two deliveries of one event at a time: one runs, the other waits and is a duplicate")
    func concurrentDuplicates() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let (started, gate, other) = (Latch(), Latch(), Latch())
        let pipeline = bench.asyncPipeline(source) { message, _ in
            switch message.offset {
            case 0, 1:
                started.open()
                await gate.wait()
            default: other.open()
            }
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([
                SampleMessage(0, key: "a", id: "x"), SampleMessage(1, key: "b", id: "x"),
                SampleMessage(2, key: "c", id: "y"),
            ])
            await started.wait()
            await other.wait()
            gate.open()
            await pipeline.settled(through: [.orders: 3])
        }
        #expect(bench.runs.filter { $0.offset < 2 }.count == 1)
        #expect(try bench.count(0) + bench.count(1) == 1)
        #expect(pipeline.statistics.duplicates == 1)
        #expect(pipeline.statistics.processed == 2)
    }

    @Test("A duplicate runs when the first copy is given up without an effect on its key")
    func duplicateOfRetried() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let pipeline = bench.asyncPipeline(source) { message, context in
            if message.offset == 0, context.attempt < 4 { throw Failure() }
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([SampleMessage(0, key: "a", id: "x"), SampleMessage(1, key: "b", id: "x")])
            await pipeline.settled(through: [.orders: 2])
        }
        #expect(try bench.count(0) + bench.count(1) == 1)
        #expect(bench.runs.allSatisfy { $0.offset == 0 })
        #expect(pipeline.statistics.duplicates == 1)
    }

    @Test("An onCommit closure that throws undoes the message's writes and runs the handler again")
    func onCommitFails() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let pipeline = bench.asyncPipeline(source) { message, context in
            let attempt = context.attempt
            context.onCommit { transaction in
                try transaction.update(ScriptedHandler.counts, "all", default: 0) { $0 += 1 }
                if message.offset == 1, attempt < 3 { throw Failure() }
            }
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<6, keys: 1))
            await pipeline.settled(through: [.orders: 6])
        }
        #expect(try bench.ledger.reader.get(ScriptedHandler.counts, "all") == 6)
        #expect(bench.runs.filter { $0.offset == 1 }.map(\.attempt) == [1, 2, 3])
        #expect(pipeline.statistics.retries == 2)
    }
}
