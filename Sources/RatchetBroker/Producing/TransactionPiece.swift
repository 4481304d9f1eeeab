import LMDB
import Ratchet
import Synchronization

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
    var reclaims: Bool { request.segments.isEmpty }
    private let commit: Commit
    private let request: Appender.Request
    private let storage: Storage
    private let producers: ProducerRegistry
    private let now: Int64
    /// To be published once it is durable.
    private let written = Mutex<[(log: PartitionLog, row: PartitionRow)]>([])

    init(_ commit: Commit, _ request: Appender.Request, _ broker: Broker) {
        self.commit = commit
        self.request = request
        byteCount = request.byteCount
        storage = broker.storage
        producers = broker.producers
        now = broker.configuration.time.wall()
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        // By the row, so that one which is fenced by this very commit is refused too.
        let current = try ProducerTable.read(commit.name, in: transaction, storage.tables)
        guard current?.id == commit.producer, current?.incarnation == commit.incarnation else {
            throw BrokerError(.fenced, "a later producer has transactional id '\(commit.name)'")
        }
        guard !producers.hasCommitted(commit.number, of: commit.producer) else { return }
        // Its messages carry no sequence numbers: it is a repeat as a whole or not at all.
        var append = GroupAppend(storage.tables, producers, maximumProducerStates: 0, now: now)
        _ = try append.add(request, in: transaction).get()
        try append.finish(in: transaction)
        try commit.offsets?.write(in: transaction, storage.tables)
        let rows = append.writers.map { ($0.log, $0.row) }
        written.withLock { $0 = rows }
    }

    func completed(_ result: Result<Void, any Error>) {
        switch result {
        case .success:
            producers.committed(commit.number, of: commit.producer)
            for (log, row) in written.withLock({ $0 }) { log.publish(row) }
            request.done(.success([]))
        case .failure(let error):
            request.done(.failure(BrokerError.wrapping(error)))
        }
    }
}
