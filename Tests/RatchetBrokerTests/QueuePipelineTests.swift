import Logging
import Ratchet
import ServiceLifecycle
import Synchronization
import Testing

@testable import RatchetBroker

/// A pipeline whose source is a queue: the same handler, other rules for what stands for a message.
@Suite(.timeLimit(.minutes(30))) struct QueuePipelineTests {
    private struct Refused: Error {}

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let effects = StateTable<String, Int>("effects")

    private static func configuration() -> PipelineConfiguration {
        var configuration = PipelineConfiguration()
        configuration.logger = logger
        configuration.retries = RetryPolicy(initialDelay: .milliseconds(1))
        // Acks do not wait for it.
        configuration.commitInterval = .seconds(3600)
        return configuration
    }

    private static func ledger(_ directory: TemporaryDirectory) throws -> Ledger {
        var configuration = Ledger.Configuration.small
        configuration.isDurable = false
        configuration.logger = logger
        return try Ledger(at: directory.other, configuration: configuration)
    }

    private static func message(_ number: Int) -> OutgoingMessage {
        OutgoingMessage(
            to: "orders",
            key: "key-\(number % 7)",
            payload: Array("\(number)".utf8),
            headers: [.messageID("\(number)")]
        )
    }

    private static func opened(_ directory: TemporaryDirectory) async throws -> Broker {
        try await Broker(at: directory.broker, configuration: .quiet)
    }

    /// What a pipeline's handlers have seen: opens its latch with the last of them.
    private final class Seen: Sendable {
        let all = Latch()
        private let wanted: Int
        private let texts = Mutex<Set<String>>([])

        init(_ wanted: Int) { self.wanted = wanted }

        func note(_ text: String) {
            let isAll = texts.withLock { texts in
                texts.insert(text)
                return texts.count == wanted
            }
            if isAll { all.open() }
        }
    }

    private static func pipeline(
        _ broker: Broker,
        _ ledger: Ledger,
        _ seen: Seen,
        prefetch: Int = 16
    ) -> Pipeline<Message> {
        Pipeline(
            "billing",
            from: broker.subscribe(toQueues: "orders", as: "billing", prefetch: prefetch),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            configuration: configuration()
        ) { message, context in
            context.onCommit { try $0.update(effects, message.text, default: 0) { $0 += 1 } }
            seen.note(message.text)
        }
    }

    /// Runs until the latch is open, and ends by a shutdown, or at once.
    private static func run(_ pipeline: Pipeline<Message>, until latch: Latch, inGoodOrder: Bool = true) async throws {
        let services = ServiceGroup(services: [pipeline], logger: logger)
        try await withThrowingTaskGroup { group in
            group.addTask { try await services.run() }
            await latch.wait()
            if inGoodOrder { await services.triggerGracefulShutdown() } else { group.cancelAll() }
            do { try await group.waitForAll() } catch is CancellationError {}
        }
    }

    private static func counts(_ ledger: Ledger) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        try ledger.reader.forEach(in: effects) { counts[$0] = $1 }
        return counts
    }

    @Test("Each event has its effect once, and what is settled is acked, while no commit is due")
    func once() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("orders", partitions: 3)
        try await broker.send((0..<300).map { Self.message($0 % 200) })
        let ledger = try Self.ledger(directory)
        let seen = Seen(200)
        try await Self.run(Self.pipeline(broker, ledger, seen), until: seen.all)
        #expect(try Self.counts(ledger) == Dictionary(uniqueKeysWithValues: (0..<200).map { ("\($0)", 1) }))
        // More than the prefetch has come, and nothing of what was settled comes again.
        let settled = try ledger.totals()
        try await broker.send(Self.message(1000))
        let consumer = try await broker.queue("orders", as: "billing").consumer(prefetch: 1000)
        var left: [String] = []
        while !left.contains("1000") { left += try await consumer.next().map(\.message.text) }
        #expect(left.count == 301 - settled.processed - settled.duplicates)
        await ledger.close()
        try await broker.close()
    }

    @Test("A pipeline that dies without its acks has each effect once all the same, by the keys alone")
    func death() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Self.opened(directory)
        try await broker.createTopic("orders")
        try await broker.send((0..<100).map(Self.message))
        for wanted in [20, 60] {
            let ledger = try Self.ledger(directory)
            let seen = Seen(wanted)
            try await Self.run(Self.pipeline(broker, ledger, seen), until: seen.all, inGoodOrder: false)
            await ledger.close()
            try await broker.close()
            broker = try await Self.opened(directory)
        }
        let ledger = try Self.ledger(directory)
        try await broker.send(Self.message(100))
        let last = Seen(1)
        let seen = Seen(.max)
        let pipeline = Pipeline(
            "billing",
            from: broker.subscribe(toQueues: "orders", as: "billing"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            configuration: Self.configuration()
        ) { message, context in
            context.onCommit { try $0.update(Self.effects, message.text, default: 0) { $0 += 1 } }
            seen.note(message.text)
            if message.text == "100" { last.note("100") }
        }
        try await Self.run(pipeline, until: last.all)
        let counts = try Self.counts(ledger)
        #expect(counts.values.allSatisfy { $0 == 1 })
        #expect(counts["100"] == 1)
        await ledger.close()
        try await broker.close()
    }

    @Test("A pipeline without idempotency keys is refused")
    func keysRequired() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("orders")
        let ledger = try Self.ledger(directory)
        let pipeline = Pipeline(
            "billing",
            from: broker.subscribe(toQueues: "orders", as: "billing"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .positionOnly,
            configuration: Self.configuration()
        ) { (_: Message, _: HandlerContext) in }
        let error = await #expect(throws: PipelineError.self) { try await pipeline.run() }
        #expect(error?.code == .keysRequired)
        await ledger.close()
        try await broker.close()
    }

    @Test("Deliveries that the queue has counted are attempts")
    func attempts() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("orders")
        try await broker.send(Self.message(0))
        for _ in 0..<3 {
            let consumer = try await broker.queue("orders", as: "billing").consumer()
            _ = try await consumer.next()
            consumer.close()
        }
        let ledger = try Self.ledger(directory)
        let attempts = Notes<[Int]>()
        let seen = Seen(1)
        var configuration = Self.configuration()
        configuration.retries = RetryPolicy(attempts: 6, initialDelay: .milliseconds(1))
        let pipeline = Pipeline(
            "billing",
            from: broker.subscribe(toQueues: "orders", as: "billing"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            configuration: configuration
        ) { message, context in
            attempts.add([context.attempt, message.deliveryCount ?? 0])
            if context.attempt == 6 { seen.note("") }
            throw Refused()
        }
        try await Self.run(pipeline, until: seen.all)
        #expect(attempts.all == [[4, 4], [5, 4], [6, 4]])
        #expect(try ledger.totals().deadLettered == 1)
        await ledger.close()
        try await broker.close()
    }

    @Test("A channel that was silent for too long is followed by another one, and fenced itself")
    func eviction() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("orders")
        try await broker.send([0, 1].map(Self.message))
        let session = try await broker.subscribe(toQueues: "orders", as: "billing").open()
        let first = try await session.nextAssigned()
        try await session.start(first)
        #expect(try await session.nextMessages().texts == ["0", "1"])
        clock.advance(by: .seconds(46))
        broker.queues.tick()
        #expect(try await session.nextLost() == [first[0].partition])
        let second = try await session.nextAssigned()
        #expect(second[0].generation > first[0].generation && second[0].partition != first[0].partition)
        try await session.start(second)
        let again = try await session.nextMessages()
        #expect(again.texts == ["0", "1"] && again[0].deliveryCount == 2 && again.startOffset == 1)
        let error = await #expect(throws: SourceError.self) {
            try await session.commit([
                OffsetCommit(partition: first[0].partition, offset: 2, generation: first[0].generation, metadata: "")
            ])
        }
        #expect(error?.code == .fenced)
        // Who waits is alive, though it gets nothing.
        session.setPaused(true, second[0].partition)
        async let closed = session.next()
        while !broker.queues.hasWaiting { await Task.yield() }
        clock.advance(by: .seconds(46))
        broker.queues.tick()
        try await session.commit([
            OffsetCommit(partition: second[0].partition, offset: 3, generation: second[0].generation, metadata: "")
        ])
        await session.close()
        guard case .closed = try await closed else { throw Unexpected(try await closed) }
        try await broker.close()
    }
}
