import Ratchet
import RatchetBroker

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Consumers of a queue, which answer in each way that there is.
struct Crew {
    /// The text of the last message that one life works for: no other has it.
    static let end = "end-\(getpid())"
    /// So often a message is given back at the most.
    static let deliveryLimit = 4

    private let books: Books
    private let queue: BrokerQueue

    static func isEnd(_ text: String) -> Bool { text.hasPrefix("end-") }

    /// Whether the job becomes a dead letter, whoever does it.
    static func isNeverDone(_ text: String) -> Bool { number(text) % 10 <= 1 }

    private static func number(_ text: String) -> Int { Int(text.dropFirst(2)) ?? 9 }

    init(_ broker: Broker, _ books: Books) {
        self.books = books
        let settings = QueueSettings(deliveryLimit: Self.deliveryLimit, deadLetterTopic: "dead")
        queue = broker.queue("jobs", as: "crew", settings: settings)
    }

    /// What is done with a job.
    private enum Answer {
        case ack, reject, requeue

        /// By its number: each tenth is never done, each tenth is rejected, each tenth is done at the second attempt.
        init(_ delivery: QueueDelivery) {
            switch Crew.number(delivery.message.text) % 10 {
            case 0: self = .requeue
            case 1: self = .reject
            case 2 where delivery.deliveryCount == 1: self = .requeue
            default: self = .ack
            }
        }
    }

    /// Works until the end has come, and what was given back has come again.
    func work() async throws {
        let consumer = try await queue.consumer(prefetch: 8)
        var returned: Set<String> = []
        var hasEnded = false
        while !hasEnded || !returned.isEmpty {
            let deliveries = try await consumer.next(maximum: 4)
            for delivery in deliveries { try note(delivery) }
            if deliveries.allSatisfy({ Answer($0) == .ack }), let last = deliveries.last {
                try await consumer.ack(last.tag, multiple: true)
                for delivery in deliveries { try done(delivery, &returned, &hasEnded) }
            } else {
                for delivery in deliveries { try await answer(delivery, consumer, &returned, &hasEnded) }
            }
        }
        consumer.close()
    }

    private func note(_ delivery: QueueDelivery) throws {
        try books.note(
            "got",
            delivery.message.text,
            "\(delivery.deliveryCount)",
            delivery.isRedelivered ? "again" : "first",
            "\(getpid())"
        )
    }

    private func done(_ delivery: QueueDelivery, _ returned: inout Set<String>, _ hasEnded: inout Bool) throws {
        try books.note("acked", delivery.message.text)
        returned.remove(delivery.message.text)
        if delivery.message.text == Self.end { hasEnded = true }
    }

    private func answer(
        _ delivery: QueueDelivery,
        _ consumer: QueueConsumer,
        _ returned: inout Set<String>,
        _ hasEnded: inout Bool
    ) async throws {
        let text = delivery.message.text
        switch Answer(delivery) {
        case .ack:
            try await consumer.ack(delivery.tag)
            try done(delivery, &returned, &hasEnded)
        case .reject:
            try await consumer.nack(delivery.tag, requeue: false)
            try books.note("rejected", text)
            returned.remove(text)
        case .requeue:
            try await consumer.nack(delivery.tag, requeue: true)
            if delivery.deliveryCount < Self.deliveryLimit { returned.insert(text) } else { returned.remove(text) }
        }
    }
}
