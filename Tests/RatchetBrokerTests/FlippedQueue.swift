import Ratchet

@testable import RatchetBroker

/// A queue of a broker whose files are damaged: some of its messages are answered, in each way that there is.
enum FlippedQueue {
    private static let settings = QueueSettings(deliveryLimit: 4, deadLetterTopic: "dead")

    /// The topics it needs, on so many nodes.
    static func make(in broker: Broker, replicas: Int = 1) async throws {
        for topic in ["jobs", "dead"] {
            try await broker.createTopic(topic, replicationFactor: replicas, minInSyncReplicas: min(replicas, 2))
        }
        for number in 0..<8 { try await broker.send(.text("job \(number)", to: "jobs")) }
        let consumer = try await broker.queue("jobs", as: "crew", settings: settings).consumer()
        let tags = try await consumer.next().map(\.tag)
        try await consumer.ack([tags[0], tags[1], tags[4]])
        try await consumer.nack(tags[3], requeue: true)
        try await consumer.nack(tags[6], requeue: false)
        consumer.close()
    }

    /// What the next consumer is given, of which it answers one: more or less of it would be done again, or never.
    static func answers(of broker: Broker) async throws -> [String] {
        let consumer = try await broker.queue("jobs", as: "crew", settings: settings).consumer()
        let deliveries = try await consumer.next()
        if let first = deliveries.first { try await consumer.ack(first.tag) }
        consumer.close()
        let given = deliveries.map { "\($0.message.offset) \($0.message.text) \($0.isRedelivered) \($0.deliveryCount)" }
        return given + ["consumer \(consumer.id)"]
    }
}

extension Broker {
    /// All messages that can be read.
    func held() async throws -> [String] {
        var held: [String] = []
        for topic in topics() {
            for partition in try describe(topic).partitions {
                for try await batch in try read(partition.partition, maximumMessages: 4) {
                    for index in 0..<batch.count {
                        let message = batch[index]
                        held.append("\(partition.partition) \(message.offset) \(message.key ?? []) \(message.payload)")
                    }
                }
            }
        }
        return held
    }
}
