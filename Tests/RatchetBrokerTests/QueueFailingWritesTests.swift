import Ratchet
import Testing

@testable import RatchetBroker

@Suite("A queue whose answers cannot be written for a while", .timeLimit(.minutes(5)))
struct QueueFailingWritesTests {
    private static func broker(
        _ directory: TemporaryDirectory,
        _ lines: LoggedLines = LoggedLines()
    ) async throws -> Broker {
        var configuration = Broker.Configuration.quiet
        configuration.logger = lines.logger
        // To fill the writer's queue takes a while on a slow machine; nobody is to be taken for dead meanwhile.
        configuration.sessionTimeout = .seconds(3_600)
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t")
        try await broker.createTopic("dead")
        return broker
    }

    private static let settings = QueueSettings(deadLetterTopic: "dead")

    /// What is left in the queue after a restart.
    private static func left(_ directory: TemporaryDirectory, _ count: Int) async throws -> [String] {
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        var texts: [String] = []
        while texts.count < count { texts += try await consumer.next().map(\.message.text) }
        try await broker.close()
        return texts
    }

    @Test("Where too much waits for the writer, an answer waits until it is written, and the queue goes on")
    func writerIsBusy() async throws {
        let (directory, lines) = (try TemporaryDirectory(), LoggedLines())
        let broker = try await Self.broker(directory, lines)
        try await broker.send((0..<3).map { .text("\($0)", to: "t") })
        let consumer = try await broker.queue("t", as: "g", settings: Self.settings).consumer(prefetch: 2)
        #expect(try await consumer.next().map(\.message.text) == ["0", "1"])
        let gate = await broker.storage.blocked()
        let refused = Notes<Bool>()
        while refused.all.isEmpty {
            broker.storage.submit(
                WriteJob(byteCount: 0, reclaims: true) { _ in
                } done: { result in
                    if case .failure = result { refused.add(true) }
                }
            )
        }
        async let acked: Void = consumer.ack(1)
        while lines.errors.isEmpty { await Task.yield() }
        gate.open()
        while broker.storage.waitingPieces > 0 { await Task.yield() }
        broker.queues.tick()
        try await acked
        #expect(try await consumer.next().map(\.message.text) == ["2"])
        #expect(lines.errors.count == 1, "\(lines.errors)")
        try await broker.close()
        #expect(try await Self.left(directory, 2) == ["1", "2"])
    }

    @Test("An answer whose transaction fails is written with the next one")
    func nextAnswer() async throws {
        let (directory, lines) = (try TemporaryDirectory(), LoggedLines())
        let broker = try await Self.broker(directory, lines)
        try await broker.send((0..<3).map { .text("\($0)", to: "t") })
        let consumer = try await broker.queue("t", as: "g", settings: Self.settings).consumer()
        _ = try await consumer.next()
        let gate = await broker.storage.blocked()
        async let first: Void = consumer.ack(1)
        while broker.storage.waitingPieces < 1 { await Task.yield() }
        broker.storage.submit(FailingPiece())
        gate.open()
        while lines.errors.isEmpty { await Task.yield() }
        try await consumer.ack(3)
        try await first
        try await broker.close()
        #expect(try await Self.left(directory, 1) == ["1"])
    }

    @Test("A dead letter whose transaction fails is in the queue again, and there alone")
    func deadLetters() async throws {
        let (directory, lines) = (try TemporaryDirectory(), LoggedLines())
        let broker = try await Self.broker(directory, lines)
        try await broker.send((0..<3).map { .text("\($0)", to: "t") })
        let consumer = try await broker.queue("t", as: "g", settings: Self.settings).consumer()
        _ = try await consumer.next()
        let gate = await broker.storage.blocked()
        async let rejected: Void = consumer.nack(1, requeue: false)
        while broker.storage.waitingPieces < 1 { await Task.yield() }
        async let acked: Void = consumer.ack(2)
        while broker.storage.waitingPieces < 2 { await Task.yield() }
        broker.storage.submit(FailingPiece())
        gate.open()
        do {
            try await rejected
            Issue.record("the dead letter was written")
        } catch let error as BrokerError {
            #expect(error.code == .full)
        }
        broker.queues.tick()
        try await acked
        #expect(try await broker.texts(TopicPartition("dead", 0)) == [])
        let again = try await consumer.next()
        #expect(again.map(\.message.text) == ["0"])
        #expect(again.map(\.deliveryCount) == [2])
        try await consumer.nack(again[0].tag, requeue: false)
        #expect(try await broker.texts(TopicPartition("dead", 0)) == ["0"])
        try await broker.close()
        #expect(try await Self.left(directory, 1) == ["2"])
    }

    /// A broker with one message, the consumer that has it, and an ack whose write has failed.
    private static func owed(
        _ directory: TemporaryDirectory,
        _ end: (Broker) async throws -> Void
    ) async throws -> Result<Void, any Error> {
        let lines = LoggedLines()
        let broker = try await broker(directory, lines)
        try await broker.send(.text("0", to: "t"))
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        _ = try await consumer.next()
        let gate = await broker.storage.blocked()
        async let acked: Void = consumer.ack(1)
        while broker.storage.waitingPieces < 1 { await Task.yield() }
        broker.storage.submit(FailingPiece())
        gate.open()
        while lines.errors.isEmpty { await Task.yield() }
        try await end(broker)
        do {
            try await acked
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    @Test("Whose answer is not written yet hears of it when the topic is deleted")
    func deleted() async throws {
        let outcome = try await Self.owed(TemporaryDirectory()) { broker in
            try await broker.deleteTopic("t")
            try await broker.close()
        }
        let error = #expect(throws: SourceError.self) { try outcome.get() }
        #expect(error?.code == .unknownTopic)
    }

    @Test("An answer that is not written yet is written before the broker is closed")
    func closed() async throws {
        let directory = try TemporaryDirectory()
        try await Self.owed(directory) { try await $0.close() }.get()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.send(.text("1", to: "t"))
        try await broker.close()
        #expect(try await Self.left(directory, 1) == ["1"])
    }
}
