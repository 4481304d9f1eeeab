import LMDB
import Logging
import Ratchet
import Synchronization

/// What a follower has to write to its log.
struct FollowerTask: Sendable {
    enum Kind: Sendable {
        case copy(ReplicaMessage.Records, from: Storage?)
        case truncate(to: Int64)
        case restart(at: Int64)
    }

    let partition: ReplicatedPartition
    let kind: Kind
    /// Not before this.
    var due = Duration.zero

    init(_ partition: ReplicatedPartition, _ kind: Kind) {
        self.partition = partition
        self.kind = kind
    }
}

/// What a node's followers have to write by now, in one transaction.
final class FollowPiece: WritePiece {
    /// What is copied in one transaction of each partition, unless a single chunk is larger.
    static let maximumBytes = 16 << 20

    let byteCount = 1 << 20
    /// Beyond the quota too: the quota of who leads bounds what there is to copy, and a follower that is full must still
    /// remove what its leader has removed.
    let reclaims = true
    private let node: ReplicationNode
    private let cluster: Cluster
    private let tables: Tables
    private let state = Mutex(State())

    private struct State {
        var isTaken = false
        var tasks: [FollowerTask] = []
        var outcomes: [Replica.LogState?] = []
    }

    init(_ node: ReplicationNode, _ cluster: Cluster, _ tables: Tables) {
        self.node = node
        self.cluster = cluster
        self.tables = tables
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        let tasks = node.takeTasks(now: cluster.clock.now)
        state.withLock { ($0.isTaken, $0.tasks) = (true, tasks) }
        var outcomes: [Replica.LogState?] = []
        let now = cluster.time.wall()
        for task in tasks {
            let logger = cluster.configuration.logger
            let writer = FollowerLog(log: task.partition.log, tables: tables, now: now, logger: logger)
            outcomes.append(try writer.perform(task.kind, in: transaction))
        }
        state.withLock { [outcomes] in $0.outcomes = outcomes }
    }

    func completed(_ result: Result<Void, any Error>) {
        let (isTaken, tasks, outcomes) = state.withLock { ($0.isTaken, $0.tasks, $0.outcomes) }
        guard isTaken else { return node.pieceWasRefused() }
        for (index, task) in tasks.enumerated() {
            // A failed one is tried again at the next tick.
            let outcome = (try? result.get()).flatMap { outcomes[index] }
            cluster.perform(task.partition.handle(.written(outcome), at: node.number), task.partition)
        }
        if case .failure = result { cluster.checkStorage(of: node.number) }
    }
}

/// A follower's log of one partition, within one transaction.
struct FollowerLog {
    /// How many chunks one transaction removes at most.
    private static let maximumRemoved = 1024

    let log: PartitionLog
    let tables: Tables
    let now: Int64
    let logger: Logger
    private var uid: UInt32 { log.uid }

    /// Does it, in part at least; returns what the log is then, nil when nothing could be done.
    func perform(_ kind: FollowerTask.Kind, in transaction: borrowing WriteTransaction) throws -> Replica.LogState? {
        // Nil once the topic is deleted.
        guard var row = try transaction.partition(uid, in: tables) else { return nil }
        var replica = try ReplicationTable.replica(of: uid, in: transaction, tables)
        switch kind {
        case .copy(let records, let source):
            guard let source, try copy(records, from: source, to: &row, &replica, in: transaction) else { return nil }
        case .truncate(let end):
            try truncate(&row, to: end, in: transaction)
            replica.epochs.truncate(to: row.end)
        case .restart(let start):
            try removeFront(&row, before: .max, in: transaction)
            if row.start == row.end {
                (row.start, row.end, row.bytes) = (start, start, 0)
                replica.epochs = LeaderEpochs()
            }
            try SequenceTable.cut(uid, at: row.start == row.end ? 0 : row.end, in: transaction, tables)
        }
        replica.highWatermark = min(replica.highWatermark, row.end)
        try transaction.put(row, for: uid, in: tables)
        try ReplicationTable.write(replica, uid, in: transaction, tables)
        return Replica.LogState(start: row.start, end: row.end, epochs: replica.epochs)
    }

    /// Copies whole chunks as they are. False when the leader's log is not any more what it was when it answered.
    private func copy(
        _ records: ReplicaMessage.Records,
        from source: Storage,
        to row: inout PartitionRow,
        _ replica: inout ReplicaRow,
        in transaction: borrowing WriteTransaction
    ) throws -> Bool {
        guard row.end == records.from else { return false }
        var copied = row
        let isSame: Bool
        do {
            isSame = try source.read { reading in
                let known = try ReplicationTable.replica(of: uid, in: reading, source.tables)
                guard known.epochs.covering(0, records.end) == records.epochs.covering(0, records.end) else {
                    return false
                }
                try copyChunks(until: records.end, to: &copied, from: reading, source.tables, in: transaction)
                // Where nothing could be copied it is tried again later, not at once.
                return copied.end > row.end || records.end == row.end
            }
        } catch let error as BrokerError where error.code == .closed {
            // The leader has gone: nothing was read.
            return false
        }
        guard isSame else { return false }
        replica.epochs.append(records.epochs, from: row.end, to: copied.end)
        replica.highWatermark = max(replica.highWatermark, min(records.highWatermark, copied.end))
        row = copied
        try removeFront(&row, before: records.start, in: transaction)
        return true
    }

    private func copyChunks(
        until end: Int64,
        to row: inout PartitionRow,
        from reading: borrowing ReadTransaction,
        _ source: Tables,
        in transaction: borrowing WriteTransaction
    ) throws {
        try reading.withCursor(in: source.log) { cursor in
            var bytes = 0
            var next = try LogKey(uid, row.end).withBytes { try cursor.seek(exactly: $0) }
            while row.end < end, bytes < FollowPiece.maximumBytes, let chunk = next {
                guard let key = LogKey(chunk.key), key == LogKey(uid, row.end) else { return }
                guard let header = sound(chunk.value, at: key.offset) else { return }
                _ = try key.withBytes { try transaction.put(chunk.value, for: $0, in: tables.log) }
                try SequenceTable.apply(chunk.value, uid, now: now, in: transaction, tables)
                row.end = header.endOffset
                row.bytes += Int64(chunk.value.count)
                bytes += chunk.value.count
                next = try cursor.next()
            }
        }
    }

    /// The header of a chunk that the leader has, nil if it is damaged: what follows it cannot be copied, and the node's
    /// other partitions are none the worse for it.
    private func sound(_ chunk: UnsafeRawBufferPointer, at offset: Int64) -> ChunkLayout.Header? {
        do throws(ChunkLayout.Damage) {
            try ChunkLayout.verify(chunk, uid: uid)
            return try ChunkLayout.header(of: chunk)
        } catch {
            let damage = BrokerError(.corrupted, "the leader's chunk at offset \(offset) of \(log.partition): \(error)")
            logger.error("A follower stays behind.", metadata: LogKeys.error(damage, partition: log.partition))
            return nil
        }
    }

    /// Removes chunks from the log's end on backwards.
    private func truncate(_ row: inout PartitionRow, to end: Int64, in transaction: borrowing WriteTransaction) throws {
        try transaction.withCursor(in: tables.log) { cursor in
            for _ in 0..<Self.maximumRemoved {
                let behind = try LogKey(uid, .max).withBytes { try cursor.seek(atLeast: $0) }
                let last = behind == nil ? try cursor.last() : try cursor.previous()
                guard let chunk = last, let key = LogKey(chunk.key), key.uid == uid, key.offset >= end else { return }
                row.bytes -= Int64(chunk.value.count)
                try cursor.delete()
                row.end = key.offset
            }
        }
        try SequenceTable.cut(uid, at: row.end, in: transaction, tables)
    }

    /// Removes whole chunks from the front, those that end before `start`.
    private func removeFront(
        _ row: inout PartitionRow,
        before start: Int64,
        in transaction: borrowing WriteTransaction
    ) throws {
        guard start > row.start else { return }
        try transaction.withCursor(in: tables.log) { cursor in
            var next = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
            for _ in 0..<Self.maximumRemoved {
                guard let chunk = next, let key = LogKey(chunk.key), key.uid == uid else { break }
                let end = try ChunkLayout.header(of: chunk.value).endOffset
                guard end <= start else { return }
                row.bytes -= Int64(chunk.value.count)
                row.start = end
                try cursor.delete()
                next = try cursor.next()
            }
        }
    }
}
