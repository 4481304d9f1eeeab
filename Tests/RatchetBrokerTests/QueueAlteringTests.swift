import Ratchet
import Testing

@testable import RatchetBroker

@Suite("A queue whose topic is altered", .timeLimit(.minutes(30)))
struct QueueAlteringTests {
    @Test("Consumers keep what they have, and answer it: nothing of it comes again")
    func settings() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t")
        try await broker.send((0..<3).map { .text("\($0)", to: "t") })
        let consumer = try await broker.queue("t", as: "g").consumer()
        #expect(try await consumer.next().map(\.tag) == [1, 2, 3])
        try await broker.alterTopic("t", maximumMessageSize: 1000)
        try await consumer.ack(2, multiple: true)
        try await broker.send(.text("3", to: "t"))
        #expect(try await consumer.next().map(\.message.text) == ["3"])
        let other = try await broker.queue("t", as: "g").consumer()
        try await consumer.nack(3, requeue: true)
        #expect(try await other.next().map(\.message.text) == ["2"])
        try await other.ack(1)
        try await consumer.ack(4)
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .quiet)
        try await next.send(.text("4", to: "t"))
        let last = try await next.queue("t", as: "g").consumer()
        #expect(try await last.next().map(\.message.text) == ["4"])
        try await next.close()
    }

    @Test("Messages of partitions that are added are delivered, acked for good, and dead-lettered")
    func partitions() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t")
        try await broker.createTopic("dead")
        let queue = broker.queue("t", as: "g", settings: QueueSettings(deadLetterTopic: "dead"))
        let consumer = try await queue.consumer()
        async let first = consumer.next()
        try await broker.addPartitions(to: "t", count: 3, keysMayMove: true)
        try await broker.send(.text("a", to: "t", partition: 2))
        let found = try await first
        #expect(found.map(\.message.text) == ["a"])
        #expect(found.map(\.message.topicPartition) == [TopicPartition("t", 2)])
        try await broker.send(.text("b", to: "t", partition: 1))
        #expect(try await consumer.next().map(\.message.text) == ["b"])
        try await consumer.nack(2, requeue: false)
        try await consumer.ack(1)
        #expect(try await broker.texts(TopicPartition("dead", 0)) == ["b"])
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .quiet)
        for partition in 0..<3 { try await next.send(.text("\(partition)", to: "t", partition: partition)) }
        let last = try await next.queue("t", as: "g").consumer()
        var seen: [String] = []
        while seen.count < 3 { seen += try await last.next().map(\.message.text) }
        #expect(seen.sorted() == ["0", "1", "2"])
        try await next.close()
    }

    @Test("A pipeline's session keeps its channel")
    func session() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        let session = try await broker.subscribe(toQueues: "t", as: "g").open()
        try await session.start(try await session.nextAssigned())
        try await broker.alterTopic("t", retention: .unlimited)
        try await broker.send(.text("0", to: "t"))
        #expect(try await session.nextMessages().texts == ["0"])
        try await broker.close()
    }
}
