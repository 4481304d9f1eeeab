import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Dead letters over several nodes", .timeLimit(.minutes(30)))
struct ReplicatedDeadLetterTests {
    private static let dead = TopicPartition("dead", 0)

    private static func broker(_ texts: [String]) async throws -> Broker {
        let broker = try await Broker.inMemory(configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 3, minInSyncReplicas: 2)
        try await broker.createTopic("dead", replicationFactor: 3, minInSyncReplicas: 2)
        try await broker.rounds { try broker.isWhole() }
        try await broker.send(texts.map { .text($0, to: "t") })
        return broker
    }

    @Test("What is rejected, or delivered too often, is moved to the dead-letter topic, once, and says why")
    func moves() async throws {
        let broker = try await Self.broker(["bad", "good", "tried"])
        let settings = QueueSettings(deliveryLimit: 2, deadLetterTopic: "dead")
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        let deliveries = try await consumer.next()
        try await consumer.nack(deliveries[0].tag, requeue: false)
        try await consumer.ack(deliveries[1].tag)
        try await consumer.nack(deliveries[2].tag, requeue: true)
        let again = try await consumer.next()
        #expect(again.map(\.message.text) == ["tried"])
        try await consumer.nack(again[0].tag, requeue: true)
        try await broker.rounds { try broker.describe("dead").partitions[0].log == 0..<2 }
        var reasons: [String?] = []
        for try await batch in try broker.read(Self.dead) {
            for index in 0..<batch.count {
                let header = batch[index].headers.first { $0.name == "dead-letter-reason" }
                reasons.append(header.map { String(decoding: $0.value, as: UTF8.self) })
            }
        }
        #expect(try await broker.texts(Self.dead) == ["bad", "tried"])
        #expect(reasons == ["rejected", "delivery-limit"])
        try await broker.send(.text("last", to: "t"))
        #expect(try await consumer.next().map(\.message.text) == ["last"])
        try await broker.close()
    }

    @Test("While the dead-letter topic has too few replicas what is rejected stays in the queue, and comes again")
    func refused() async throws {
        let broker = try await Self.broker(["bad"])
        let settings = QueueSettings(deadLetterTopic: "dead")
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        let tag = try await consumer.next()[0].tag
        let leader = try #require(try broker.replication("t").leader)
        for node in broker.nodes where node.number != leader { await node.stop() }
        try await broker.rounds { try broker.replication("dead").inSync == [leader] }
        let error = await #expect(throws: BrokerError.self) { try await consumer.nack(tag, requeue: false) }
        #expect(error?.code == .notEnoughReplicas)
        for node in broker.nodes { try await node.start() }
        try await broker.rounds { try broker.isWhole() }
        let again = try await consumer.next()
        #expect(again.map(\.message.text) == ["bad"])
        try await consumer.nack(again[0].tag, requeue: false)
        try await broker.rounds { try broker.describe("dead").partitions[0].log == 0..<1 }
        #expect(try await broker.texts(Self.dead) == ["bad"])
        try await broker.close()
    }
}
