import LMDB
import Ratchet

extension Topic {
    /// Writes a new topic; returns nil when it exists with the same settings.
    static func create(
        _ name: String,
        id: [UInt8],
        _ settings: TopicSettings,
        limit: Int,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables,
        home: Storage?
    ) throws -> Topic? {
        let stored = try transaction.sealedText(name, in: tables.topics, "the row of topic '\(name)'")
        let next = try transaction.sealedText(SealedRow.nextUID, in: tables.meta, "the number of the next partition")
        guard next?.count ?? 4 == 4 else {
            throw BrokerError(.corrupted, "the number of the next partition has \(next?.count ?? 0) bytes, not 4")
        }
        let firstUID = next.map { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) } ?? 0
        let row = TopicRow(id: id, firstUID: firstUID, settings: settings)
        if let stored {
            let settings = try TopicRow(stored, name: name).settings
            // As they are stored: in whole milliseconds.
            let wanted = try row.encoded.withUnsafeBytes { try TopicRow($0, name: name).settings }
            guard settings == wanted else {
                throw BrokerError(.topicExists, "topic '\(name)' has \(settings), not \(wanted): delete it first")
            }
            return nil
        }
        guard try transaction.count(tables.partitions) + settings.partitions <= limit else {
            let count = settings.partitions
            throw BrokerError(
                .limitReached,
                "\(count) more partitions for topic '\(name)' exceed maximumPartitions, \(limit)"
            )
        }
        let (end, overflow) = firstUID.addingReportingOverflow(UInt32(settings.partitions))
        guard !overflow else {
            throw BrokerError(.limitReached, "no partition can be created any more: start a new broker")
        }
        for uid in firstUID..<end { try transaction.put(PartitionRow(), for: uid, in: tables) }
        var following: [UInt8] = []
        following.appendLittleEndian(end)
        try transaction.putSealed(following, for: Array(SealedRow.nextUID.utf8), in: tables.meta)
        try transaction.putSealed(row.encoded, for: Array(name.utf8), in: tables.topics)
        return Topic(
            name: name,
            row: row,
            partitions: Array(repeating: PartitionRow(), count: settings.partitions),
            home: home
        )
    }

    /// Removes the topic; its chunks become garbage, to be removed in pieces.
    func delete(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        guard try exists(in: transaction, tables) else {
            throw BrokerError(.unknownTopic, "topic '\(name)' was deleted meanwhile")
        }
        _ = try Array(name.utf8).withUnsafeBytes { try transaction.delete($0, in: tables.topics) }
        for log in logs {
            try withUnsafeBytes(of: log.uid.bigEndian) { uid in
                _ = try transaction.delete(uid, in: tables.partitions)
                _ = try transaction.delete(uid, in: tables.replication)
                try transaction.putSealed(UnsafeRawBufferPointer(start: nil, count: 0), for: uid, in: tables.garbage)
            }
        }
        try OffsetTable.removeAll(of: self, in: transaction, tables)
        try SharedTable.removeAll(of: self, in: transaction, tables)
    }
}

/// What deleted topics have left behind.
enum Garbage {
    /// How many chunks one transaction removes at most.
    private static let maximumChunks = 256

    /// Removes the chunks of all deleted partitions, in transactions of bounded size.
    static func removeAll(_ storage: Storage) async throws {
        let tables = storage.tables
        while try storage.read({ try $0.count(tables.garbage) }) > 0 {
            try await storage.write(reclaims: true) { try removeSome(in: $0, tables) }
        }
    }

    private static func removeSome(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        let uid = try transaction.withCursor(in: tables.garbage) { cursor in
            try cursor.first().map { row in
                _ = try SealedRow.value(of: row.value, for: row.key, "a deleted partition")
                guard row.key.count == 4 else {
                    throw BrokerError(.corrupted, "a deleted partition's number has \(row.key.count) bytes, not 4")
                }
                return UInt32(bigEndian: row.key.loadUnaligned(as: UInt32.self))
            }
        }
        guard let uid else { return }
        let isEmpty = try transaction.withCursor(in: tables.log) { cursor in
            var chunk = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
            for _ in 0..<maximumChunks {
                guard let key = chunk.flatMap({ LogKey($0.key) }), key.uid == uid else { return true }
                try cursor.delete()
                chunk = try cursor.next()
            }
            return false
        }
        guard isEmpty, try SequenceTable.removeSome(of: uid, in: transaction, tables) else { return }
        _ = try withUnsafeBytes(of: uid.bigEndian) { try transaction.delete($0, in: tables.garbage) }
    }
}
