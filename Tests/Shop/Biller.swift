import Ratchet
import RatchetBroker

/// Passes each order on to two topics, with its offset, in transactions of a few; each fourth one is given up first.
struct Biller {
    private struct GivenUp: Error {}

    private let books: Books
    private let producer: Producer
    private let session: any SourceSession

    init(_ broker: Broker, _ books: Books) async throws {
        self.books = books
        producer = try await broker.producer(ProducerSettings(transactionalID: "billing"))
        session = try await broker.subscribe(to: "orders", as: "billing").open()
    }

    /// Works until all before `end` is done.
    func work(until end: Int64) async throws {
        var done: Int64 = 0
        var transactions = 0
        while done < end {
            switch try await session.next() {
            case .assigned(let assignments):
                for assignment in assignments {
                    done = assignment.committed?.offset ?? 0
                    try await session.start(assignment.partition, at: done, generation: assignment.generation)
                }
            case .messages(let batch):
                for start in stride(from: 0, to: batch.count, by: 5) {
                    let messages = (start..<min(start + 5, batch.count)).map { batch[$0] }
                    transactions += 1
                    if transactions % 4 == 0 { await giveUp(messages) }
                    try await pass(messages)
                    for message in messages { try books.note("billed", message.text) }
                }
                done = batch.lastOffset + 1
            default: throw Problem("the only member of the group has lost its partition")
            }
        }
        await session.close()
    }

    private func giveUp(_ messages: [Message]) async {
        try? await producer.transaction { transaction in
            try fill(transaction, messages)
            throw GivenUp()
        }
    }

    private func pass(_ messages: [Message]) async throws {
        try await producer.transaction { try fill($0, messages) }
    }

    private func fill(_ transaction: ProducerTransaction, _ messages: [Message]) throws {
        for message in messages {
            for topic in ["receipts", "journal"] {
                try transaction.send(OutgoingMessage(to: topic, payload: Array(message.text.utf8)))
            }
        }
        guard let last = messages.last else { return }
        let commit = OffsetCommit(
            partition: last.batch.partition,
            offset: last.offset + 1,
            generation: last.batch.generation,
            metadata: ""
        )
        try transaction.commit([commit], of: session)
    }
}
