import Ratchet
import RatchetBroker

/// Sends each message once, and writes down which ones are confirmed.
struct Sender {
    /// What it sends, and where.
    private static let kinds = [("s", "plain"), ("o", "orders"), ("j", "jobs")]
    private static let window = 24

    private let books: Books
    private let producer: Producer
    /// No earlier life has written it, whatever it has sent.
    private let first: Int

    init(_ broker: Broker, _ books: Books) async throws {
        self.books = books
        var last = 0
        for (_, topic) in Self.kinds {
            for partition in try broker.describe(topic).partitions {
                for try await batch in try broker.read(partition.partition) {
                    for index in 0..<batch.count { last = max(last, Int(batch[index].text.dropFirst(2)) ?? 0) }
                }
            }
        }
        first = last + 1
        var settings = ProducerSettings()
        settings.retryDelay = .milliseconds(1)
        producer = try await broker.producer(settings)
    }

    func send(_ count: Int) async throws {
        var open: [(id: String, confirmation: Confirmation)] = []
        for number in first..<first + count {
            for (kind, topic) in Self.kinds {
                let id = "\(kind)-\(number)"
                let message = OutgoingMessage(to: topic, key: id, payload: Array(id.utf8))
                open.append((id, try await producer.enqueue(message)))
            }
            if open.count >= Self.window { try await confirm(&open) }
        }
        try await confirm(&open)
    }

    private func confirm(_ open: inout [(id: String, confirmation: Confirmation)]) async throws {
        for (id, confirmation) in open {
            _ = try await confirmation.wait()
            try books.note("sent", id)
        }
        open = []
    }
}
