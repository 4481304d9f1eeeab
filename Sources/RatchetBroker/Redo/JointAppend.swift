import LMDB
import Ratchet
import Synchronization

/// Messages that a transaction of the broker's own file writes together with what belongs to them: all or none.
///
/// With one node they are in the logs then. With several that transaction is the decision: it holds the messages as redo
/// rows, and once it is durable they are appended to their partitions for as long as it takes, after a crash too.
final class JointAppend: Sendable {
    private struct State {
        /// To be published.
        var rows: [(log: PartitionLog, row: PartitionRow)] = []
        /// To be appended.
        var parts: [RedoLog.Part] = []
        /// Whether room was taken for what is to be appended, and not given on.
        var hasRoom = false
    }

    private let batch: RoutedBatch
    private let owner: Int64?
    private let producers: ProducerRegistry
    private let cluster: Cluster?
    private let now: Int64
    private let state = Mutex(State())

    /// `owner` is the producer that waits until it can be read.
    init(_ batch: RoutedBatch, owner: Int64?, _ producers: ProducerRegistry, _ cluster: Cluster?, now: Int64) {
        self.batch = batch
        self.owner = owner
        self.producers = producers
        self.cluster = cluster
        self.now = now
    }

    var byteCount: Int { batch.byteCount }
    var isEmpty: Bool { batch.segments.isEmpty }

    // MARK: Room

    /// Waits for room among what is decided, until `deadline`. Throws ``BrokerError`` when there is none by then, or
    /// nothing can be appended just now: nothing is decided then.
    func takeRoom(until deadline: Duration) async throws {
        guard let cluster, !isEmpty else { return }
        try checkCanAppend(cluster)
        let rest = deadline - cluster.clock.now
        guard try await cluster.redo.gate.enter(byteCount, atMost: rest, clock: cluster.clock) else { throw noRoom }
        state.withLock { $0.hasRoom = true }
    }

    /// The same, for who cannot wait.
    func takeRoomAtOnce() throws {
        guard let cluster, !isEmpty else { return }
        try checkCanAppend(cluster)
        guard cluster.redo.gate.enterAtOnce(byteCount) else { throw noRoom }
        state.withLock { $0.hasRoom = true }
    }

    private func checkCanAppend(_ cluster: Cluster) throws(BrokerError) {
        if cluster.redo.isClosed { throw Storage.closedError(cluster.storage.path) }
        if let refusal = cluster.refusal(of: batch.segments.map(\.log)) { throw refusal }
    }

    private var noRoom: BrokerError {
        BrokerError(.full, "maximumPendingBytes of what is decided waits for its partitions: nothing was written")
    }

    // MARK: Writing

    /// On the writer thread of the broker's own file, once. Throws when a topic was deleted meanwhile.
    func write(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        guard !isEmpty else { return }
        if cluster != nil {
            let parts = try RedoTable.write(batch, owner: owner, in: transaction, tables)
            #if CrashPoints
                CrashPoint.redoWritten.reach()
            #endif
            return state.withLock { $0.parts = parts }
        }
        // Its messages carry no sequence numbers: it is a repeat as a whole or not at all.
        var append = GroupAppend(tables, producers, maximumProducerStates: 0, now: now)
        _ = try append.add(Appender.Request(batch) { _ in }, in: transaction).get()
        try append.finish(in: transaction)
        let rows = append.writers.map { ($0.log, $0.row) }
        state.withLock { $0.rows = rows }
    }

    /// What was written is durable. On the writer thread, in the order of the writes.
    func published() {
        let (rows, parts) = state.withLock { state in
            state.hasRoom = false
            return (state.rows, state.parts)
        }
        for (log, row) in rows { log.publish(row) }
        guard !parts.isEmpty else { return }
        #if CrashPoints
            CrashPoint.redoDecided.reach()
        #endif
        cluster?.decided(parts)
    }

    /// Nothing was written, and nothing will be.
    func discarded() {
        let hadRoom = state.withLock { state in
            defer { state.hasRoom = false }
            return state.hasRoom
        }
        if hadRoom { cluster?.redo.gate.leave(byteCount) }
    }
}
