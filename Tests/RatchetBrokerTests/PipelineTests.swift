import CFaults
import Logging
import Ratchet
import RatchetBroker
import Synchronization
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The pipeline on the in-process broker: what a scheduler of its own cannot show.
@Suite(.timeLimit(.minutes(30))) struct PipelineTests {
    private struct Refused: Error {}

    private static let partition = TopicPartition("orders", 0)
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func configuration() -> PipelineConfiguration {
        var configuration = PipelineConfiguration()
        configuration.logger = logger
        configuration.retries = RetryPolicy(initialDelay: .milliseconds(1))
        return configuration
    }

    private static func ledger(_ directory: TemporaryDirectory) throws -> Ledger {
        var configuration = Ledger.Configuration.small
        configuration.isDurable = false
        configuration.logger = logger
        return try Ledger(at: directory.other, configuration: configuration)
    }

    /// Runs the pipeline until everything before `offset` is settled.
    private static func run(_ pipeline: Pipeline<some Sendable>, through offset: Int64) async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { try await pipeline.run() }
            await pipeline.settled(through: [partition: offset])
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
        }
    }

    @Test("A message whose async handler failed is tried again though no other message comes")
    func lonelyRetry() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("orders")
        try await broker.send(.text("a", to: "orders"))
        let ledger = try Self.ledger(directory)
        let pipeline = Pipeline(
            "billing",
            from: broker.subscribe(to: "orders", as: "billing"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .positionOnly,
            configuration: Self.configuration()
        ) { _, context in
            if context.attempt == 1 { throw Refused() }
        }
        try await Self.run(pipeline, through: 1)
        #expect(try ledger.totals().processed == 1)
        await ledger.close()
        try await broker.close()
    }

    @Test("A reset that was asked for is reprocessed once, though the first commit after it was never made")
    func reprocessOnce() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("orders")
        try await broker.send(["a", "b", "c", "d"].map { .text($0, to: "orders") })
        let ledger = try Self.ledger(directory)
        var configuration = Self.configuration()
        configuration.resume.reset = .reprocess
        configuration.commitInterval = .seconds(3600)
        for run in 1...3 {
            // Cancelled, and so without a last commit: as after a crash.
            try await Self.run(
                Pipeline(
                    "billing",
                    from: broker.subscribe(to: "orders", as: "billing"),
                    ledger: ledger,
                    decoding: .raw,
                    identifiedBy: .positionOnly,
                    configuration: configuration,
                    transactional: { _, _ in }
                ),
                through: 4
            )
            if run == 1 { try await broker.resetOffset(group: "billing", partition: Self.partition, to: 1) }
        }
        #expect(try ledger.totals().processed == 7)
        await ledger.close()
        try await broker.close()
    }

    @Test("The window keeps its count where small commits are followed by large ones")
    func windowAfterSmallCommits() async throws {
        let directory = try TemporaryDirectory()
        var configuration = Ledger.Configuration.small
        configuration.isDurable = false
        configuration.logger = Self.logger
        configuration.window.count = 50
        let ledger = try Ledger(at: directory.other, configuration: configuration)
        for commit in 0..<60 {
            var keys = KeyBatch()
            for number in 0..<(commit < 50 ? 1 : 40) { try keys.append("\(commit)/\(number)") }
            #expect(try await ledger.remember(keys).allSatisfy { $0 })
            #expect(ledger.keyCount <= 50)
        }
        await ledger.close()
    }

    #if os(Linux)
        @Test("A failed write in the broker ends a pipeline that publishes to it at once: the outbox waits for nothing")
        func brokerLost() async throws {
            let directory = try TemporaryDirectory()
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            for topic in ["orders", "receipts"] { try await broker.createTopic(topic) }
            try await broker.send(.text("a", to: "orders"))
            let ledger = try Self.ledger(directory)
            var configuration = Self.configuration()
            // Longer than the time limit, as is the time until the source is told a position.
            configuration.drainTimeout = .seconds(3600)
            configuration.commitInterval = .seconds(3600)
            let path = directory.broker
            let pipeline = Pipeline(
                "billing",
                from: broker.subscribe(to: "orders", as: "billing"),
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .positionOnly,
                publishingTo: broker,
                configuration: configuration,
                transactional: { _, transaction in
                    // The next write is the one of what this publishes.
                    _ = faults_arm(Int32(FAULTS_WRITES), path, 1, EIO)
                    try transaction.publish(.text("paid", to: "receipts"))
                }
            )
            let error = await #expect(throws: BrokerError.self) { try await pipeline.run() }
            #expect(error?.code == .storage)
            #expect(try ledger.reader.outboxCount() == 1)
            await ledger.close()
            try await broker.close()
        }
    #endif
}
