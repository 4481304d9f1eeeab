import LMDB
import Ratchet

/// A producer's transaction: its messages and offsets in one piece of a commit.
final class TransactionPiece: WritePiece {
    /// Whose it is, and what it writes beside the messages.
    struct Commit: Sendable {
        let name: String
        let producer: Int64
        let incarnation: Int32
        /// Rises with each transaction of the producer: tells a repeat.
        let number: Int64
        let offsets: OffsetWrites?
    }

    let byteCount: Int
    /// Offsets alone replace rows: a full broker can still be consumed from.
    var reclaims: Bool { messages.isEmpty }
    private let commit: Commit
    private let messages: JointAppend
    private let tables: Tables
    private let producers: ProducerRegistry
    private let done: @Sendable (Result<Void, any Error>) -> Void

    /// `done` is called once.
    init(
        _ commit: Commit,
        _ messages: JointAppend,
        _ broker: Broker,
        done: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        self.commit = commit
        self.messages = messages
        self.done = done
        byteCount = messages.byteCount
        tables = broker.storage.tables
        producers = broker.producers
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        // By the row, so that one which is fenced by this very commit is refused too.
        let current = try ProducerTable.read(commit.name, in: transaction, tables)
        guard current?.id == commit.producer, current?.incarnation == commit.incarnation else {
            throw BrokerError(.fenced, "a later producer has transactional id '\(commit.name)'")
        }
        try messages.write(in: transaction, tables)
        try commit.offsets?.write(in: transaction, tables)
    }

    func completed(_ result: Result<Void, any Error>) {
        switch result {
        case .success:
            producers.committed(commit.number, of: commit.producer)
            messages.published()
            done(.success(()))
        case .failure(let error):
            messages.discarded()
            done(.failure(BrokerError.wrapping(error)))
        }
    }
}
