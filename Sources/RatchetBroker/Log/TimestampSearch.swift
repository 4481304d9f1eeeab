import LMDB
import Ratchet

/// Looks for the first message of a log that is not older than some time: goes over the chunks' headers, in short
/// transactions, and into the chunks that may hold it.
struct TimestampSearch {
    /// How many chunks one transaction looks at.
    private static let maximumChunks = 1024

    private let log: PartitionLog

    init(_ log: PartitionLog) { self.log = log }

    /// The first message with that timestamp or a later one; the log's end if there is none. Throws ``BrokerError``:
    /// `leaderNotAvailable`.
    func offset(from timestamp: Int64) throws -> Int64 {
        let range = log.range
        guard let storage = log.home else { throw log.unled }
        var position = range.lowerBound
        while position < range.upperBound {
            let start = position
            let found = try storage.read { transaction in
                try transaction.withCursor(in: storage.tables.log) { cursor -> Int64? in
                    var row = try LogKey(log.uid, start).withBytes { try cursor.seek(atLeast: $0) }
                    for _ in 0..<Self.maximumChunks {
                        guard let chunk = row, let key = LogKey(chunk.key), key.uid == log.uid else { break }
                        let header = try ChunkLayout.header(of: chunk.value)
                        position = header.endOffset
                        if header.maximumTimestamp >= timestamp,
                            let offset = try self.offset(from: timestamp, header, in: chunk.value)
                        {
                            return offset
                        }
                        row = try cursor.next()
                    }
                    return nil
                }
            }
            if let found { return min(found, range.upperBound) }
            if position == start { break }
        }
        return range.upperBound
    }

    private func offset(
        from timestamp: Int64,
        _ header: ChunkLayout.Header,
        in chunk: UnsafeRawBufferPointer
    ) throws -> Int64? {
        try ChunkLayout.verify(chunk, uid: log.uid)
        var found: Int64?
        try ChunkLayout.forEachRecord(header, in: chunk) { record, _ in
            if found == nil, record.timestamp >= timestamp { found = record.offset }
        }
        return found
    }
}
