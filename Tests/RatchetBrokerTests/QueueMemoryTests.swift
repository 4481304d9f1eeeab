import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Memory of queues", .timeLimit(.minutes(5)))
struct QueueMemoryTests {
    private struct Remembered: Sendable {
        weak var log: PartitionLog?
    }

    @Test("What a topic with a queue had in memory goes with the topic, though the broker stays")
    func deletedTopic() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let remembered = try await Self.consume(broker)
        try await broker.deleteTopic("t")
        await Self.isForgotten(remembered)
        try await broker.close()
    }

    @Test("What a queue had in memory goes with the broker")
    func closedBroker() async throws {
        await Self.isForgotten(try await Self.consumeAndClose())
    }

    private static func consumeAndClose() async throws -> Remembered {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let remembered = try await consume(broker)
        try await broker.close()
        return remembered
    }

    private static func consume(_ broker: Broker) async throws -> Remembered {
        try await broker.createTopic("t")
        try await broker.send(.text("a", to: "t"))
        let consumer = try await broker.queue("t", as: "g").consumer()
        #expect(try await consumer.next().map(\.message.text) == ["a"])
        try await consumer.ack(1)
        consumer.close()
        return Remembered(log: broker.catalog["t"]?.logs.first)
    }

    /// Threads let go of it when they have come to an end with it.
    private static func isForgotten(_ remembered: Remembered) async {
        while remembered.log != nil { await Task.yield() }
    }
}
