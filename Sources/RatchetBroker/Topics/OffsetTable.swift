import LMDB
import Ratchet

/// Positions of a group that are about to be written.
struct OffsetWrites: Sendable {
    let group: String
    var offsets: [(topic: Topic, partition: Int, committed: CommittedOffset)]

    /// Throws when a topic was deleted meanwhile.
    func write(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        for (topic, partition, committed) in offsets {
            try OffsetTable.write(committed, topic, partition, group, in: transaction, tables)
        }
    }
}

/// The table `offsets`: what a group has committed in a partition, keyed by topic id, partition and group; and the
/// table `groups`.
enum OffsetTable {
    /// The most bytes of metadata beside an offset.
    static let maximumMetadata = 4096

    /// The topic's id and the partition's number.
    private static let keyPrefix = 16 + 4

    private static func key(_ topic: Topic, _ partition: Int, _ group: String) -> [UInt8] {
        var key = topic.row.id
        key.appendBigEndian(UInt32(partition))
        key += group.utf8
        return key
    }

    static func read(
        _ topic: Topic,
        _ partition: Int,
        _ group: String,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> CommittedOffset? {
        let place = "group '\(group)' in \(topic.name)/\(partition)"
        let stored = try key(topic, partition, group).withUnsafeBytes {
            try transaction.sealed($0, in: tables.offsets, "the offset of \(place)")
        }
        guard let stored else { return nil }
        guard stored.count >= 8 else {
            throw BrokerError(.corrupted, "the offset of \(place) has \(stored.count) bytes")
        }
        let offset = Int64(littleEndian: stored.loadUnaligned(as: Int64.self))
        guard 0..<PartitionRow.maximum ~= offset else {
            throw BrokerError(.corrupted, "the offset of \(place) is \(offset)")
        }
        return CommittedOffset(
            offset: offset,
            metadata: String(decoding: stored[8...], as: UTF8.self)
        )
    }

    /// Throws when the topic was deleted meanwhile.
    static func write(
        _ committed: CommittedOffset,
        _ topic: Topic,
        _ partition: Int,
        _ group: String,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        guard try topic.exists(in: transaction, tables) else {
            throw SourceError(.unknownTopic, "topic '\(topic.name)' was deleted")
        }
        var value: [UInt8] = []
        value.appendLittleEndian(committed.offset)
        value += committed.metadata.utf8
        try transaction.putSealed(value, for: key(topic, partition, group), in: tables.offsets)
    }

    /// The groups that have ever had a member or an offset, with their last generations.
    static func groups(in transaction: borrowing ReadTransaction, _ tables: Tables) throws -> [String: Int64] {
        var groups: [String: Int64] = [:]
        try transaction.withCursor(in: tables.offsets) { cursor in
            var row = try cursor.first()
            while let key = row?.key {
                if key.count > keyPrefix { groups[String(decoding: key[keyPrefix...], as: UTF8.self)] = 0 }
                row = try cursor.next()
            }
        }
        var names: [String] = []
        try transaction.withCursor(in: tables.groups) { cursor in
            var row = try cursor.first()
            while let key = row?.key {
                names.append(String(decoding: key, as: UTF8.self))
                row = try cursor.next()
            }
        }
        for name in names { groups[name] = try generation(of: name, in: transaction, tables) }
        return groups
    }

    /// Removes what all groups have committed in the topic.
    static func removeAll(of topic: Topic, in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        try transaction.withCursor(in: tables.offsets) { cursor in
            var row = try topic.row.id.withUnsafeBytes { try cursor.seek(atLeast: $0) }
            while let key = row?.key, key.starts(with: topic.row.id) {
                try cursor.delete()
                row = try cursor.next()
            }
        }
    }

    /// The last generation of the group, 0 if it never had one.
    static func generation(
        of group: String,
        in transaction: borrowing ReadTransaction,
        _ tables: Tables
    ) throws -> Int64 {
        let stored = try transaction.sealedText(group, in: tables.groups, "the generation of group '\(group)'")
        guard let stored else { return 0 }
        guard stored.count == 8 else {
            throw BrokerError(.corrupted, "the generation of group '\(group)' has \(stored.count) bytes")
        }
        let generation = Int64(littleEndian: stored.loadUnaligned(as: Int64.self))
        // Generations are counted up.
        guard 0..<PartitionRow.maximum ~= generation else {
            throw BrokerError(.corrupted, "the generation of group '\(group)' is \(generation)")
        }
        return generation
    }

    static func write(
        generation: Int64,
        of group: String,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        var value: [UInt8] = []
        value.appendLittleEndian(generation)
        try transaction.putSealed(value, for: Array(group.utf8), in: tables.groups)
    }
}
