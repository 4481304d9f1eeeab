import LMDB
import Ratchet

/// A follower's log of one partition, within one transaction.
struct FollowerLog {
    /// How many chunks one transaction removes at most.
    private static let maximumRemoved = 1024

    let uid: UInt32
    let tables: Tables
    /// The producers' time.
    let now: Int64

    /// What was done.
    struct Outcome: Sendable {
        /// What the log is now; nil when nothing could be done.
        var log: Replica.LogState?
        /// Why no more could be done.
        var damage: (any Error)?
    }

    /// What is known of the log, as it is written.
    private struct Rows: Equatable {
        var log: PartitionRow
        var replica: ReplicaRow
        var mark: CompactionMark

        /// The log was cut off at its end, as far as one transaction may, on the way to `target`.
        mutating func cut(to target: Int64) {
            let isEmpty = log.start == log.end
            replica.epochs.truncate(to: isEmpty ? 0 : log.end)
            mark.cut(to: target, isEmpty: isEmpty)
        }
    }

    /// Does it, in part at least. A log whose rows are damaged stands still, and keeps no other one behind.
    func perform(_ kind: FollowerTask.Kind, in transaction: borrowing WriteTransaction) throws -> Outcome {
        let found: Rows?
        do { found = try rows(in: transaction, tables) } catch let error as BrokerError where error.code == .corrupted {
            return Outcome(damage: error)
        }
        // Nil once the topic is deleted.
        guard var rows = found else { return Outcome() }
        let mark = rows.mark
        var outcome = Outcome()
        switch kind {
        // What is left of it may look like a beginning of the leader's, and lacks what compaction has removed.
        case _ where mark.isVoid: try truncate(&rows, to: 0, in: transaction)
        case .copy(let records, let source):
            guard let source, try copy(records, from: source, to: &rows, &outcome, in: transaction) else {
                return outcome
            }
        case .truncate(let end):
            // Below the mark all of it goes, and comes from the leader again.
            try truncate(&rows, to: end < rows.mark.end ? 0 : end, in: transaction)
        case .restart(let start):
            try truncate(&rows, to: 0, in: transaction)
            if rows.log.start == rows.log.end { (rows.log.start, rows.log.end, rows.log.bytes) = (start, start, 0) }
        }
        rows.replica.highWatermark = min(rows.replica.highWatermark, rows.log.end)
        try transaction.put(rows.log, for: uid, in: tables)
        try ReplicationTable.write(rows.replica, uid, in: transaction, tables)
        if rows.mark != mark { try ReplicationTable.write(rows.mark, uid, in: transaction, tables) }
        outcome.log = Replica.LogState(start: rows.log.start, end: rows.log.end, epochs: rows.replica.epochs)
        return outcome
    }

    private func rows(in transaction: borrowing some Transaction & ~Copyable, _ tables: Tables) throws -> Rows? {
        guard let row = try transaction.partition(uid, in: tables) else { return nil }
        return Rows(
            log: row,
            replica: try ReplicationTable.replica(of: uid, in: transaction, tables),
            mark: try ReplicationTable.mark(of: uid, in: transaction, tables)
        )
    }

    // MARK: Copying

    /// Copies what the leader has of the offsets behind the log's end. False when nothing could be done: also when the
    /// leader's log is not any more what it was when it answered.
    private func copy(
        _ records: ReplicaMessage.Records,
        from source: Storage,
        to rows: inout Rows,
        _ outcome: inout Outcome,
        in transaction: borrowing WriteTransaction
    ) throws -> Bool {
        // From a leader whose disk has failed nothing can be read: another one will lead.
        guard rows.log.end == records.from, source.failure == nil else { return false }
        var copied = rows
        do {
            let isSame = try source.read { reading in
                guard let leaders = try leaders(of: records, in: reading, source.tables, &outcome) else { return false }
                if copied.log.start < copied.log.end, copied.log.end < leaders.mark.tombstones {
                    // It may hold what a tombstone has deleted that the leader has no more.
                    try truncate(&copied, to: 0, in: transaction)
                    return true
                }
                // What it asked for may be gone by now: it asks again.
                guard copied.log.end >= leaders.log.start else { return true }
                try learnProducers(&copied, from: reading, source.tables, in: transaction)
                guard copied.replica.unlearned == nil else { return true }
                if copied.log.end < leaders.mark.end { copied.mark.include(leaders.mark) }
                outcome.damage = try copyChunks(
                    until: records.end,
                    to: &copied.log,
                    from: reading,
                    source.tables,
                    in: transaction
                )
                return true
            }
            guard isSame else { return false }
        } catch let error as BrokerError where error.code == .closed {
            // The leader has gone: nothing was read.
            return false
        }
        if outcome.damage != nil, copied.log == rows.log { return false }
        copied.replica.epochs.append(records.epochs, from: rows.log.end, to: copied.log.end)
        copied.replica.highWatermark = max(
            copied.replica.highWatermark,
            min(records.highWatermark, copied.log.end)
        )
        rows = copied
        try removeFront(&rows.log, before: records.start, in: transaction)
        rows.replica.epochs.removeFront(before: rows.log.start)
        return true
    }

    /// Takes over, some at a time, what the leader knows of producers whose chunks retention has removed: no chunk that
    /// is copied tells of them, and who leads without knowing them takes a repeat for new.
    private func learnProducers(
        _ rows: inout Rows,
        from reading: borrowing ReadTransaction,
        _ source: Tables,
        in transaction: borrowing WriteTransaction
    ) throws {
        guard let first = rows.replica.unlearned else { return }
        rows.replica.unlearned = try SequenceTable.learn(
            uid,
            at: rows.log.end,
            from: first,
            of: reading,
            source,
            in: transaction,
            tables
        )
    }

    /// The leader's rows; nil when its log is not any more what it was when it answered, or they are damaged.
    private func leaders(
        of records: ReplicaMessage.Records,
        in reading: borrowing ReadTransaction,
        _ source: Tables,
        _ outcome: inout Outcome
    ) throws -> Rows? {
        do {
            guard let found = try rows(in: reading, source),
                found.replica.epochs.covering(records.from, records.end)
                    == records.epochs.covering(records.from, records.end)
            else { return nil }
            return found
        } catch let error as BrokerError where error.code == .corrupted {
            outcome.damage = error
            return nil
        }
    }

    /// Copies chunks as they are, but for what of the first and the last one is not asked for: the leader may have
    /// put chunks together. Returns what has kept it from copying more.
    private func copyChunks(
        until end: Int64,
        to row: inout PartitionRow,
        from reading: borrowing ReadTransaction,
        _ source: Tables,
        in transaction: borrowing WriteTransaction
    ) throws -> (any Error)? {
        try reading.withCursor(in: source.log) { cursor in
            var bytes = 0
            var next = try cursor.chunk(holding: LogKey(uid, row.end))
            while row.end < end, bytes < FollowPiece.maximumBytes {
                do {
                    bytes += try copy(next, until: end, to: &row, in: transaction)
                } catch let damage as ChunkLayout.Damage {
                    return damage
                } catch let error as BrokerError where error.code == .corrupted {
                    return error
                }
                next = try cursor.next()
            }
            return nil
        }
    }

    /// Copies what is asked for of one chunk, which holds the log's end; returns its bytes.
    private func copy(
        _ stored: Cursor.Row?,
        until end: Int64,
        to row: inout PartitionRow,
        in transaction: borrowing WriteTransaction
    ) throws -> Int {
        guard let stored, let key = LogKey(stored.key), key.uid == uid else {
            throw ChunkLayout.Damage(description: "the chunk at offset \(row.end) is not there")
        }
        let header = try ChunkLayout.header(of: stored.value)
        try ChunkLayout.verify(stored.value, uid: uid)
        guard header.baseOffset == key.offset, header.baseOffset <= row.end, row.end < header.endOffset else {
            throw ChunkLayout.Damage(
                description: "\(header.baseOffset)..<\(header.endOffset) where \(row.end) should be"
            )
        }
        let part = row.end..<min(end, header.endOffset)
        if part == header.baseOffset..<header.endOffset {
            try put(stored.value, covering: part, to: &row, in: transaction)
            return stored.value.count
        }
        let cut = try ChunkLayout.cut(part, of: stored.value, header, uid: uid)
        try cut.withUnsafeBytes { try put($0, covering: part, to: &row, in: transaction) }
        return cut.count
    }

    private func put(
        _ chunk: UnsafeRawBufferPointer,
        covering offsets: Range<Int64>,
        to row: inout PartitionRow,
        in transaction: borrowing WriteTransaction
    ) throws {
        // First what may find a damaged row: then nothing of the chunk is there.
        try SequenceTable.apply(chunk, uid, now: now, in: transaction, tables)
        _ = try LogKey(uid, offsets.lowerBound).withBytes { try transaction.put(chunk, for: $0, in: tables.log) }
        row.end = offsets.upperBound
        row.bytes += Int64(chunk.count)
    }

    // MARK: Removing

    /// Removes chunks from the log's end on backwards, as many as one transaction may.
    private func truncate(_ rows: inout Rows, to end: Int64, in transaction: borrowing WriteTransaction) throws {
        try transaction.withCursor(in: tables.log) { cursor in
            for _ in 0..<Self.maximumRemoved {
                let behind = try LogKey(uid, .max).withBytes { try cursor.seek(atLeast: $0) }
                let last = behind == nil ? try cursor.last() : try cursor.previous()
                guard let chunk = last, let key = LogKey(chunk.key), key.uid == uid, key.offset >= end else { return }
                rows.log.bytes -= Int64(chunk.value.count)
                try cursor.delete()
                rows.log.end = key.offset
            }
        }
        rows.cut(to: end)
        let isEmpty = rows.log.start == rows.log.end
        let knowsAll = try SequenceTable.cut(uid, at: isEmpty ? 0 : rows.log.end, in: transaction, tables)
        if isEmpty || !knowsAll { rows.replica.unlearned = 0 }
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
