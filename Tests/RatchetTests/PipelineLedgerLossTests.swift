import CFaults
import LMDB
import Logging
import Synchronization
import Testing

@testable import Ratchet

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Pipeline: a ledger that takes nothing more", .timeLimit(.minutes(30)))
struct PipelineLedgerLossTests {
    private static func samples(_ offsets: Range<Int64>) -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k\($0 % 3)", id: "id\($0)") }
    }

    /// A run over the ledger as it is opened anew: all messages have their effect once.
    private static func runAgain(_ ledger: Ledger, _ messages: Int64) async throws {
        let source = ScriptedSource()
        let pipeline = Pipeline(
            "tests",
            from: source,
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            configuration: PipelineBench.configuration,
            transactional: { message, transaction in
                try transaction.update(ScriptedHandler.counts, "\(message.offset)", default: 0) { $0 += 1 }
            }
        )
        async let ended: Void = pipeline.run()
        await source.assign(generation: 2)
        try source.deliver(samples(0..<messages), generation: 2)
        await pipeline.settled(through: [.orders: messages])
        source.say(.closed)
        try await ended
        for offset in 0..<messages {
            #expect(try ledger.reader.get(ScriptedHandler.counts, "\(offset)") == 1, "offset \(offset)")
        }
        #expect(try ledger.totals().processed == Int(messages))
    }

    @Test(
        "A ledger that fails under another's hands ends a pipeline that has nothing to do, at its next commit or its own end",
        arguments: [true, false]
    )
    func idle(isCommitDue: Bool) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        var configuration = PipelineBench.configuration
        configuration.commitInterval = isCommitDue ? .milliseconds(1) : .seconds(3600)
        let pipeline = bench.pipeline(source, configuration: configuration)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            bench.ledger.failNextCommit(.unwritten)
            var keys = KeyBatch()
            try keys.append("a")
            await #expect(throws: LMDBError.self) { try await bench.ledger.remember(keys) }
            if isCommitDue { await source.until { $0.contains(.close) } }
        }
        #expect((error as? PipelineError)?.code == .ledger, "\(String(describing: error))")
    }

    @Test(
        "A ledger that is closed under its pipeline ends it, and what was not settled runs in the next one",
        arguments: PipelineBench.Kind.allCases
    )
    func closed(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<5))
            await pipeline.settled(through: [.orders: 5])
            // Beside what is on its way.
            try source.deliver(Self.samples(5..<300), start: 5)
            await bench.ledger.close()
            try source.deliver(Self.samples(300..<400), start: 300)
            await source.until { $0.contains(.close) }
        }
        #expect((error as? PipelineError)?.code == .ledger)
        #expect(((error as? PipelineError)?.underlying as? LMDBError)?.code == .closed)
        let ledger = try Ledger(at: bench.scratch("ledger"), configuration: .quick)
        let position = try #require(try await ledger.position(SettlementDriver.key(0)))
        #expect(source.committed() ?? 0 <= position.watermark)
        #expect(position.watermark >= 5)
        try await Self.runAgain(ledger, 400)
        await ledger.close()
    }

    @Test("A partition that is assigned once the ledger is closed ends the pipeline with the same error")
    func closedBeforeAssignment() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let error = try await bench.run(bench.pipeline(source), source) {
            await source.assign()
            await bench.ledger.close()
            source.say(
                .assigned([
                    Assignment(
                        partition: TopicPartition("orders", 1),
                        topicID: nil,
                        generation: 1,
                        committed: nil,
                        log: 0..<10
                    )
                ])
            )
            await source.until { $0.contains(.close) }
        }
        #expect((error as? PipelineError)?.code == .ledger)
    }

    @Test(
        "A writer with too much before it refuses a settlement: its pipeline ends, the ledger and the other members go on",
        arguments: PipelineBench.Kind.allCases
    )
    func queueFull(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let (source, gate, busy) = (ScriptedSource(), Gate(), Latch())
        let ledger = bench.ledger
        let pipeline = bench.pipeline(source, kind)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<5))
            await pipeline.settled(through: [.orders: 5])
            async let held: Void = ledger.write { _ in
                busy.open()
                gate.wait()
            }
            await busy.wait()
            for _ in 0..<WriterThread.Limits().queuedPieces { ledger.writer.submit(IdlePiece()) }
            try source.deliver(Self.samples(5..<50), start: 5)
            await source.until { $0.contains(.close) }
            gate.open()
            try await held
        }
        #expect((error as? PipelineError)?.code == .ledger)
        #expect(((error as? PipelineError)?.underlying as? LMDBError)?.code == .queueFull)
        #expect(source.committed() == 5)
        #expect(try await bench.watermark() == 5)
        try await Self.runAgain(ledger, 50)
        await ledger.close()
    }

    @Test("What the writer is at when a drain times out is settled and committed before the partition is given back")
    func handOver() async throws {
        let bench = try PipelineBench()
        let (source, gate) = (ScriptedSource(), Gate())
        let (started, timedOut) = (Latch(), Latch())
        var configuration = PipelineBench.configuration
        configuration.logger = Logger(label: "tests") { _ in
            WatchingLogHandler { if $0.hasPrefix("drain timed out") { timedOut.open() } }
        }
        let pipeline = bench.pipeline(source, .transactional, configuration: configuration) { message, _ in
            guard message.offset == 0 else { return }
            started.open()
            gate.wait()
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<3))
            await started.wait()
            source.say(.revoking([.orders], within: .zero))
            for _ in 0..<10_000 { await Task.yield() }
            #expect(!source.calls.contains(.release(.orders)))
            gate.open()
            await timedOut.wait()
            await source.until { $0.contains(.release(.orders)) }
            // Whoever has the partition now, under whatever ledger, begins where this one has ended.
            #expect(source.calls.last == .release(.orders))
            #expect(try await bench.watermark() == source.committed())
        }
        #expect(try bench.count(0) == 1)
        #expect(source.committed() == 1)
    }

    @Test("A cancelled pipeline leaves its group only when the writer is through with what it was at")
    func cancelled() async throws {
        let bench = try PipelineBench()
        let (source, gate, started) = (ScriptedSource(), Gate(), Latch())
        let pipeline = bench.pipeline(source, .transactional) { _, _ in
            started.open()
            gate.wait()
        }
        let running = Task { try await pipeline.run() }
        await source.assign()
        try source.deliver(Self.samples(0..<1))
        await started.wait()
        running.cancel()
        for _ in 0..<10_000 { await Task.yield() }
        #expect(!source.calls.contains(.close))
        gate.open()
        await #expect(throws: CancellationError.self) { try await running.value }
        #expect(source.calls.last == .close)
    }

    #if os(Linux)
        @Test("An outbox that its ledger's failure keeps from being emptied is not waited for at a shutdown")
        func outboxLost() async throws {
            let bench = try PipelineBench()
            let ledger = bench.scratch("ledger")
            let source = ScriptedSource()
            let refusals = Atomic(0)
            let sink = ScriptedSink { _ in
                // Refused until the shutdown has come to the outbox, and then for a few times more.
                let isClosed = source.calls.contains(.close)
                if !isClosed || refusals.add(1, ordering: .relaxed).newValue < 5 { throw ScriptedSink.Refused() }
                _ = faults_arm(Int32(FAULTS_WRITES), ledger, 1, EIO)
                return []
            }
            // Its drain timeout is longer than the time limit.
            var configuration = PipelineBench.configuration
            configuration.outboxRetries = RetryPolicy(initialDelay: .milliseconds(20), jitter: 0)
            let pipeline = bench.asyncPipeline(source, configuration: configuration, sink: sink) { message, context in
                try context.publish(OutgoingMessage(to: "receipts", key: message.key, payload: message.payload))
            }
            let error = try await bench.run(pipeline, source) {
                await source.assign()
                try source.deliver(Self.samples(0..<1))
                await pipeline.settled(through: [.orders: 1])
            }
            #expect((error as? PipelineError)?.code == .ledger)
        }
    #endif
}

/// Does nothing, and shares its commit.
private final class IdlePiece: WritePiece {
    var byteCount: Int { 0 }
    var failsAlone: Bool { false }
    func write(in transaction: borrowing WriteTransaction) throws {}
    func completed(_ result: Result<Void, any Error>) {}
}

/// Shows each message that is logged.
private struct WatchingLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    let seen: @Sendable (String) -> Void

    init(_ seen: @escaping @Sendable (String) -> Void) { self.seen = seen }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { seen("\(event.message)") }
}
