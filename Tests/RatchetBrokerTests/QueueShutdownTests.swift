import Logging
import Ratchet
import ServiceLifecycle
import Synchronization
import Testing

@testable import RatchetBroker

/// What a pipeline over a queue gives back, and what it keeps.
@Suite("A pipeline over a queue and what it does not finish", .timeLimit(.minutes(30)))
struct QueueShutdownTests {
    private struct Refused: Error {}

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let effects = StateTable<String, Int>("effects")
    private static let settings = QueueSettings(deliveryLimit: 2, deadLetterTopic: "dead")

    private let directory: TemporaryDirectory
    private let broker: Broker
    private let ledger: Ledger

    init() async throws {
        directory = try TemporaryDirectory()
        broker = try await Broker.inMemory(configuration: .quiet)
        for topic in ["orders", "dead"] { try await broker.createTopic(topic) }
        var configuration = Ledger.Configuration.small
        configuration.isDurable = false
        configuration.logger = Self.logger
        ledger = try Ledger(at: directory.other, configuration: configuration)
    }

    private func end() async throws {
        await ledger.close()
        try await broker.close()
    }

    private func send(_ count: Int) async throws {
        try await broker.send(
            (0..<count).map { number in
                OutgoingMessage(
                    to: "orders",
                    key: "key-\(number % 7)",
                    payload: Array("\(number)".utf8),
                    headers: [.messageID("\(number)")]
                )
            }
        )
    }

    private func consumer(prefetch: Int = 256) async throws -> QueueConsumer {
        try await broker.queue("orders", as: "billing", settings: Self.settings).consumer(prefetch: prefetch)
    }

    /// One message at a time.
    private func pipeline(
        retries: RetryPolicy = RetryPolicy(initialDelay: .milliseconds(1)),
        _ handler: @escaping @Sendable (Message) async throws -> Void
    ) -> Pipeline<Message> {
        var configuration = PipelineConfiguration()
        configuration.logger = Self.logger
        configuration.concurrency = 1
        configuration.retries = retries
        return Pipeline(
            "billing",
            from: broker.subscribe(toQueues: "orders", as: "billing", settings: Self.settings),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            configuration: configuration
        ) { message, context in
            context.onCommit { try $0.update(Self.effects, message.text, default: 0) { $0 += 1 } }
            try await handler(message)
        }
    }

    /// Runs until the latch is open; `body` is done while it shuts down.
    private func run(
        _ pipeline: Pipeline<Message>,
        until latch: Latch,
        _ body: () async throws -> Void = {}
    ) async throws {
        let services = ServiceGroup(services: [pipeline], logger: Self.logger)
        try await withThrowingTaskGroup { group in
            group.addTask { try await services.run() }
            await latch.wait()
            await services.triggerGracefulShutdown()
            try await body()
            try await group.waitForAll()
        }
    }

    private func effects() throws -> [String: Int] {
        var counts: [String: Int] = [:]
        try ledger.reader.forEach(in: Self.effects) { counts[$0] = $1 }
        return counts
    }

    @Test("What has not begun is others' at once and uncounted, while what runs is finished and acked")
    func shutdown() async throws {
        try await send(10)
        let (begun, goOn) = (Latch(), Latch())
        let pipeline = pipeline { _ in
            begun.open()
            await goOn.wait()
        }
        var others: [QueueDelivery] = []
        let other = try await consumer()
        try await run(pipeline, until: begun) {
            while others.count < 8 { others += try await other.next() }
            goOn.open()
        }
        // All but the one of the key of which one was running.
        #expect(others.map(\.message.text) == ["1", "2", "3", "4", "5", "6", "8", "9"])
        #expect(others.allSatisfy { $0.deliveryCount == 1 && !$0.isRedelivered })
        #expect(try effects() == ["0": 1])
        others += try await other.next()
        #expect(others.last?.message.text == "7" && others.last?.deliveryCount == 1)
        // Nothing is left: what ran was acked.
        try await other.ack(others.map(\.tag))
        try await broker.send(OutgoingMessage(to: "orders", payload: Array("last".utf8)))
        #expect(try await other.next().map(\.message.text) == ["last"])
        try await end()
    }

    @Test("Shutdowns do not use up a message's deliveries: none goes to the dead letters that nobody has tried")
    func restarts() async throws {
        try await send(50)
        var others: [String] = []
        for _ in 0..<4 {
            let (begun, goOn) = (Latch(), Latch())
            let pipeline = pipeline { _ in
                begun.open()
                await goOn.wait()
            }
            try await run(pipeline, until: begun) {
                let other = try await consumer(prefetch: 1)
                let deliveries = try await other.next()
                others += deliveries.map(\.message.text)
                for delivery in deliveries { try await other.ack(delivery.tag) }
                goOn.open()
                other.close()
            }
        }
        #expect(others.count == 4)
        let last = try await consumer()
        let done = try effects()
        #expect(done.count >= 4 && done.values.allSatisfy { $0 == 1 })
        var rest: [QueueDelivery] = []
        while rest.count < 50 - others.count - done.count { rest += try await last.next() }
        #expect(rest.allSatisfy { $0.deliveryCount == 1 })
        #expect(Set(rest.map(\.message.text) + others + done.keys).count == 50)
        #expect(try broker.logEnds(of: "dead").values.allSatisfy { $0 == 0 })
        try await end()
    }

    @Test("A message whose attempts are used up is a dead letter of the ledger, acked, and none of the queue")
    func exhausted() async throws {
        try await send(2)
        let begun = Latch()
        let attempts = Mutex(0)
        let pipeline = pipeline(retries: RetryPolicy(attempts: 3, initialDelay: .milliseconds(1))) { message in
            guard message.text == "0" else { return }
            let count = attempts.withLock { count in
                count += 1
                return count
            }
            if count == 3 { begun.open() }
            throw Refused()
        }
        try await run(pipeline, until: begun)
        #expect(attempts.withLock { $0 } == 3)
        #expect(try ledger.totals().deadLettered == 1)
        #expect(try broker.logEnds(of: "dead").values.allSatisfy { $0 == 0 })
        try await broker.send(OutgoingMessage(to: "orders", payload: Array("last".utf8)))
        let other = try await consumer()
        var texts: [String] = []
        while texts.last != "last" { texts += try await other.next().map(\.message.text) }
        #expect(!texts.contains("0"))
        try await end()
    }

    @Test("What was on its way to a consumer that goes, and that it never saw, counts as never delivered")
    func unseen() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumFetchMessages = 1
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("orders")
        try await broker.send((0..<4).map { OutgoingMessage(to: "orders", payload: Array("\($0)".utf8)) })
        let first = try await broker.queue("orders", as: "g").consumer()
        #expect(try await first.next(maximum: 4).map(\.message.text) == ["0"])
        first.close()
        let second = try await broker.queue("orders", as: "g").consumer()
        var deliveries: [QueueDelivery] = []
        while deliveries.count < 4 { deliveries += try await second.next() }
        #expect(deliveries.map(\.deliveryCount) == [2, 1, 1, 1])
        try await broker.close()
        try await end()
    }
}
