import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct QueueDurabilityTests {
    private func sent(_ directory: TemporaryDirectory, _ count: Int) async throws -> Broker {
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t")
        try await broker.createTopic("dead")
        try await broker.send((0..<count).map { .text("\($0)", to: "t") })
        return broker
    }

    @Test("After a restart what was acked is gone, and all else is there, marked and counted")
    func restart() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await sent(directory, 8)
        let consumer = try await broker.queue("t", as: "g").consumer(prefetch: 6)
        _ = try await consumer.next()
        try await consumer.ack(2, multiple: true)
        try await consumer.ack(4)
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .quiet)
        let other = try await next.queue("t", as: "g").consumer()
        var deliveries: [QueueDelivery] = []
        while deliveries.count < 5 { deliveries += try await other.next() }
        #expect(deliveries.map(\.message.text) == ["2", "4", "5", "6", "7"])
        #expect(deliveries.map(\.isRedelivered) == [true, true, true, false, false])
        #expect(deliveries.map(\.deliveryCount) == [2, 2, 2, 1, 1])
        #expect(other.id > consumer.id)
        try await next.close()
    }

    @Test("Each group of a topic has all messages, and its own answers")
    func groups() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await sent(directory, 2)
        for group in ["a", "b"] {
            let consumer = try await broker.queue("t", as: group).consumer()
            #expect(try await consumer.next().count == 2)
            try await consumer.ack(group == "a" ? 1 : 2)
        }
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .quiet)
        for group in ["a", "b"] {
            let consumer = try await next.queue("t", as: group).consumer()
            #expect(try await consumer.next().map(\.message.text) == [group == "a" ? "1" : "0"])
        }
        try await next.close()
    }

    @Test("Answers to a topic that was deleted leave nothing for the one made anew")
    func topicMadeAnew() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await sent(directory, 2)
        let consumer = try await broker.queue("t", as: "g").consumer()
        _ = try await consumer.next()
        try await consumer.ack(2, multiple: true)
        try await broker.deleteTopic("t")
        try await broker.createTopic("t")
        try await broker.send(.text("new", to: "t"))
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .quiet)
        let other = try await next.queue("t", as: "g").consumer()
        #expect(try await other.next().map(\.message.text) == ["new"])
        try await next.close()
    }

    @Test("A dead letter is in one place only after a restart")
    func deadLetter() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await sent(directory, 2)
        let settings = QueueSettings(deadLetterTopic: "dead")
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        _ = try await consumer.next()
        try await consumer.nack(1, requeue: false)
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .quiet)
        #expect(try await next.texts(TopicPartition("dead", 0)) == ["0"])
        let other = try await next.queue("t", as: "g", settings: settings).consumer()
        #expect(try await other.next().map(\.message.text) == ["1"])
        try await next.close()
    }

    @Test("A message that takes its process down as often as it may be delivered is a dead letter, once")
    func deliveryLimitByCrashes() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await sent(directory, 2)
        let settings = QueueSettings(deliveryLimit: 3, deadLetterTopic: "dead")
        for count in 1...3 {
            let consumer = try await broker.queue("t", as: "g", settings: settings).consumer(prefetch: 1)
            #expect(try await consumer.next().map(\.deliveryCount) == [count])
            // What is out when another answer is written is counted, whatever comes.
            try await broker.send(.text("x", to: "t"))
            let other = try await broker.queue("t", as: "g", settings: settings).consumer(prefetch: 1)
            try await other.ack(try await other.next()[0].tag)
            await broker.storage.crash()
            broker = try await Broker(at: directory.broker, configuration: .quiet)
        }
        let last = try await broker.queue("t", as: "g", settings: settings).consumer()
        #expect(try await last.next().map(\.message.text) == ["x"])
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .quiet)
        #expect(try await next.texts(TopicPartition("dead", 0)) == ["0"])
        try await next.close()
    }

    @Test("A full broker can still be consumed from")
    func full() async throws {
        let directory = try TemporaryDirectory()
        var configuration = Broker.Configuration.quiet
        configuration.maximumBytes = 1 << 20
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t")
        let message = OutgoingMessage(to: "t", payload: Array(repeating: 1, count: 10_000))
        await #expect(throws: BrokerError.self) { while true { try await broker.send(message) } }
        let consumer = try await broker.queue("t", as: "g").consumer(prefetch: 7)
        let count = try broker.logEnds(of: "t")[TopicPartition("t", 0)] ?? 0
        var seen: Int64 = 0
        while seen < count {
            let deliveries = try await consumer.next()
            seen += Int64(deliveries.count)
            try await consumer.ack(deliveries.map(\.tag))
        }
        #expect(seen == count && count > 10)
        try await broker.close()
    }
}
