import LMDB
import Ratchet

/// Looks for the first message of a log that is not older than some time: goes over the chunks, in short transactions,
/// and into those that may hold it.
struct TimestampSearch {
    /// How many chunks one transaction looks at.
    private static let maximumChunks = 1024

    private let log: PartitionLog

    init(_ log: PartitionLog) { self.log = log }

    /// The first message with that timestamp or a later one; the log's end if there is none. Throws ``BrokerError``:
    /// `corrupted` for a chunk before it that is not what was written, `leaderNotAvailable` while no node leads the
    /// partition.
    func offset(from timestamp: Int64) throws -> Int64 {
        let range = log.range
        guard let storage = log.home else { throw log.leaderless }
        var position = range.lowerBound
        while position < range.upperBound {
            let start = position
            do {
                let found = try storage.read { try find(timestamp, &position, in: $0, storage.tables) }
                if let found { return min(found, range.upperBound) }
            } catch let error as BrokerError where log.isReplicated && storage.hasEnded(error) {
                // The node was stopped, or its disk has failed: another one leads, or will.
                log.lose(storage)
                throw log.leaderless
            }
            if position == start { break }
        }
        return range.upperBound
    }

    /// Goes over some chunks from `position` on, and moves it behind them.
    private func find(
        _ timestamp: Int64,
        _ position: inout Int64,
        in transaction: borrowing ReadTransaction,
        _ tables: Tables
    ) throws -> Int64? {
        try transaction.withCursor(in: tables.log) { cursor in
            let first = LogKey(log.uid, position)
            // Compaction may have put the chunk into the one before it, retention may have removed it.
            var row = try cursor.chunk(holding: first) ?? first.withBytes { try cursor.seek(atLeast: $0) }
            for _ in 0..<Self.maximumChunks {
                guard let chunk = row, let key = LogKey(chunk.key), key.uid == log.uid else { return nil }
                if let offset = try find(timestamp, from: &position, in: chunk.value, key) { return offset }
                row = try cursor.next()
            }
            return nil
        }
    }

    /// All of the chunk is checked, also what its header says of its times: else messages could be passed over.
    private func find(
        _ timestamp: Int64,
        from position: inout Int64,
        in chunk: UnsafeRawBufferPointer,
        _ key: LogKey
    ) throws -> Int64? {
        do throws(ChunkLayout.Damage) {
            let header = try ChunkLayout.header(of: chunk)
            try ChunkLayout.verify(chunk, uid: log.uid)
            let start = position
            position = header.endOffset
            guard header.maximumTimestamp >= timestamp else { return nil }
            var found: Int64?
            try ChunkLayout.forEachRecord(header, in: chunk) { record, _ in
                if found == nil, record.offset >= start, record.timestamp >= timestamp { found = record.offset }
            }
            return found
        } catch {
            throw BrokerError(
                .corrupted,
                "the chunk at offset \(key.offset) of \(log.partition): \(error); restore the broker from a copy, or "
                    + "name an offset behind it"
            )
        }
    }
}
