import LMDB
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: how it ends", .timeLimit(.minutes(30)))
struct PipelineEndTests {
    private struct Failure: Error {}

    @Test(
        "A ledger that cannot be written ends the pipeline at once, and nothing unsettled is committed",
        arguments: PipelineBench.Kind.allCases
    )
    func ledgerFails(kind: PipelineBench.Kind) async throws {
        var settings = Ledger.Configuration.quick
        settings.quota = 1 << 20
        let bench = try PipelineBench(settings)
        let blobs = StateTable<Int, [UInt8]>("blobs")
        let source = ScriptedSource()
        let error = try await bench.run(bench.pipeline(source, kind), source) {
            await source.assign()
            try await bench.ledger.write { transaction in
                for number in 0..<100 { try transaction.put(blobs, number, [UInt8](repeating: 1, count: 10_000)) }
            }
            try source.deliver((0..<100).map { SampleMessage($0, key: "k\($0 % 3)", id: "\($0)") })
            await source.until { $0.contains(.close) }
        }
        #expect((error as? PipelineError)?.code == .ledger)
        #expect(((error as? PipelineError)?.underlying as? LMDBError)?.code == .quotaExceeded)
        #expect(source.committed() ?? 0 == 0)
        #expect(try bench.ledger.totals().processed == 0)
    }

    @Test("A sink that is down keeps nobody from shutting down, and loses nothing")
    func sinkIsDown() async throws {
        let bench = try PipelineBench()
        let sink = ScriptedSink { _ in throw Failure() }
        let source = ScriptedSource()
        var configuration = PipelineBench.configuration
        configuration.drainTimeout = .milliseconds(20)
        configuration.outboxRetries = RetryPolicy(initialDelay: .milliseconds(1), jitter: 0)
        let pipeline = bench.asyncPipeline(source, configuration: configuration, sink: sink) { message, context in
            try context.publish(OutgoingMessage(to: "receipts", key: "k", payload: message.payload))
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([SampleMessage(0, key: "a", id: "x", "paid")])
            await pipeline.settled(through: [.orders: 1])
        }
        #expect(error == nil)
        #expect(try bench.ledger.reader.outboxCount() == 1)
        // The next run sends it, under the same id.
        let working = ScriptedSink { _ in [] }
        let next = ScriptedSource()
        let second = bench.asyncPipeline(next, configuration: PipelineBench.configuration, sink: working) { _, _ in }
        let ended = try await bench.run(second, next) { try await bench.ledger.outbox.drained() }
        #expect(ended == nil)
        #expect(working.confirmed.map(\.id) == ["billing/orders/x#0"])
        #expect(working.confirmed.map(\.payload) == [Array("paid".utf8)])
    }

    @Test("A pipeline that is cancelled gives its claims back: the other member runs the event")
    func cancelled() async throws {
        let bench = try PipelineBench()
        let (first, second) = (ScriptedSource(), ScriptedSource())
        let (started, never) = (Latch(), Latch())
        let one = bench.asyncPipeline(first) { _, _ in
            started.open()
            await never.wait()
            throw CancellationError()
        }
        let two = bench.asyncPipeline(second) { _, _ in }
        let other = TopicPartition("orders", 1)
        _ = try await bench.run(two, second) {
            let running = Task { try await one.run() }
            await first.assign()
            await second.assign(other)
            try first.deliver([SampleMessage(0, key: "a", id: "x")])
            await started.wait()
            try second.deliver([SampleMessage(0, key: "b", id: "x")], of: other)
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            await two.settled(through: [other: 1])
        }
        #expect(two.statistics.processed == 1)
        #expect(try await bench.watermark() == 0)
    }

    @Test("Publishing without a sink is the handler's error, not a message that is never sent")
    func noSink() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        var configuration = PipelineBench.configuration
        configuration.retries = .never()
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { _, context in
            try context.publish(OutgoingMessage(to: "receipts", payload: []))
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([SampleMessage(0, id: "x")])
            await pipeline.settled(through: [.orders: 1])
        }
        let letter = try #require(try bench.ledger.reader.deadLetters().first)
        #expect(letter.errorMessage.contains("publishingTo:"))
        #expect(try bench.ledger.reader.outboxCount() == 0)
    }

    @Test("Settings out of their bounds are refused before the group is joined")
    func settings() async throws {
        let bench = try PipelineBench()
        let changes: [@Sendable (inout PipelineConfiguration) -> Void] = [
            { $0.concurrency = 0 }, { $0.batch = 0 }, { $0.batch = 16_385 }, { $0.inFlight = 0 },
            { $0.inFlightBytes = -1 },
            { $0.partitionInFlight = 0 }, { $0.batchesInFlight = 0 }, { $0.outboxBatch = 0 },
            { $0.outboxBytes = 0 }, { $0.outboxBacklog = 0 },
            { $0.commitInterval = .zero },
            { $0.drainTimeout = .seconds(-1) }, { $0.batchDelay = .seconds(-1) },
            { $0.transactionDelay = .seconds(-1) }, { $0.transactionDelay = .seconds(3601) }, { $0.burst = 0 },
        ]
        for change in changes {
            var configuration = PipelineBench.configuration
            change(&configuration)
            let source = ScriptedSource()
            let error = try await bench.run(bench.pipeline(source, configuration: configuration), source) {}
            #expect((error as? PipelineError)?.code == .invalidConfiguration)
            #expect(source.calls.isEmpty)
        }
    }
}
