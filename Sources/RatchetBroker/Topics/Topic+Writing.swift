import LMDB
import Ratchet

extension Topic {
    /// Writes a new topic; returns nil when it exists with the same settings.
    static func create(
        _ name: String,
        id: [UInt8],
        _ wanted: TopicSettings,
        limit: Int,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables,
        home: Storage?
    ) throws -> Topic? {
        let stored = try transaction.sealedText(name, in: tables.topics, "the row of topic '\(name)'")
        if let stored {
            let settings = try TopicRow(stored, name: name).settings
            // As they are stored: in whole milliseconds.
            let row = TopicRow(id: id, uids: (0..<UInt32(wanted.partitions)).map { $0 }, settings: wanted)
            let wanted = try row.encoded.withUnsafeBytes { try TopicRow($0, name: name).settings }
            guard settings == wanted else {
                throw BrokerError(.topicExists, "topic '\(name)' has \(settings), not \(wanted): alter or delete it")
            }
            return nil
        }
        let uids = try addPartitions(wanted.partitions, to: name, limit: limit, in: transaction, tables)
        let row = TopicRow(id: id, uids: uids, settings: wanted)
        try transaction.putSealed(row.encoded, for: Array(name.utf8), in: tables.topics)
        return Topic(
            name: name,
            row: row,
            partitions: Array(repeating: PartitionRow(), count: wanted.partitions),
            home: home
        )
    }

    /// Writes rows of new partitions; returns their uids.
    private static func addPartitions(
        _ count: Int,
        to name: String,
        limit: Int,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> [UInt32] {
        let next = try transaction.sealedText(SealedRow.nextUID, in: tables.meta, "the number of the next partition")
        guard next?.count ?? 4 == 4 else {
            throw BrokerError(.corrupted, "the number of the next partition has \(next?.count ?? 0) bytes, not 4")
        }
        let first = next.map { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) } ?? 0
        guard try transaction.count(tables.partitions) + count <= limit else {
            throw BrokerError(
                .limitReached,
                "\(count) more partitions for topic '\(name)' exceed maximumPartitions, \(limit)"
            )
        }
        let (end, overflow) = first.addingReportingOverflow(UInt32(count))
        guard !overflow else {
            throw BrokerError(.limitReached, "no partition can be created any more: start a new broker")
        }
        for uid in first..<end { try transaction.put(PartitionRow(), for: uid, in: tables) }
        var following: [UInt8] = []
        following.appendLittleEndian(end)
        try transaction.putSealed(following, for: Array(SealedRow.nextUID.utf8), in: tables.meta)
        return Array(first..<end)
    }

    /// Writes changed settings, with new partitions where they ask for more; returns the topic as it is then, with the
    /// same logs. One at a time.
    func alter(
        limit: Int,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables,
        home: Storage?,
        _ change: (inout TopicSettings) throws -> Void
    ) throws -> Topic {
        var row = try storedRow(in: transaction, tables)
        try change(&row.settings)
        try row.settings.check(for: name)
        let count = row.settings.partitions - row.uids.count
        if count > 0 {
            row.uids += try Self.addPartitions(count, to: name, limit: limit, in: transaction, tables)
        }
        try transaction.putSealed(row.encoded, for: Array(name.utf8), in: tables.topics)
        return Topic(name: name, row: row, logs: logs, home: home)
    }

    /// The topic's row as it is now. Throws when it was deleted meanwhile.
    private func storedRow(in transaction: borrowing WriteTransaction, _ tables: Tables) throws -> TopicRow {
        guard try exists(in: transaction, tables),
            let stored = try transaction.sealedText(name, in: tables.topics, "the row of topic '\(name)'")
        else { throw BrokerError(.unknownTopic, "topic '\(name)' was deleted meanwhile") }
        return try TopicRow(stored, name: name)
    }

    /// Removes the topic; its chunks become garbage, to be removed in pieces.
    func delete(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        let uids = try storedRow(in: transaction, tables).uids
        _ = try Array(name.utf8).withUnsafeBytes { try transaction.delete($0, in: tables.topics) }
        for uid in uids {
            try withUnsafeBytes(of: uid.bigEndian) { uid in
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
    /// And of how many bytes, but for the last of them.
    private static let maximumBytes = 256 << 20

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
            var (count, bytes) = (0, 0)
            while count < maximumChunks, bytes < maximumBytes {
                guard let found = chunk, LogKey(found.key)?.uid == uid else { return true }
                (count, bytes) = (count + 1, bytes + found.value.count)
                try TransientChunks.forget(found.key, in: transaction, tables)
                try cursor.delete()
                chunk = try cursor.next()
            }
            return false
        }
        guard isEmpty, try SequenceTable.removeSome(of: uid, in: transaction, tables) else { return }
        _ = try withUnsafeBytes(of: uid.bigEndian) { try transaction.delete($0, in: tables.garbage) }
    }
}
