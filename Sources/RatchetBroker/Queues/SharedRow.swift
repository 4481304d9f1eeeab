import LMDB
import Ratchet

/// What a shared group has settled in a partition, as it is stored.
///
///     version u8 | zero u8 * 3 | slots u32 | settled i64 | mark i64 | (deliveries u16)*
///
/// All integers are little-endian. A slot stands for each offset from `settled` on; 65,535 deliveries say that its
/// message is settled.
struct SharedRow: Equatable, Sendable {
    static let maximumCount = UInt16.max - 1
    private static let version: UInt8 = 1
    private static let fixedSize = 24

    /// Every message below is settled.
    var settled: Int64
    /// No message from here on was ever delivered.
    var mark: Int64
    /// How often the messages from ``settled`` on were delivered, as far as is known; nil for those that are settled.
    var slots: [UInt16?]

    init(settled: Int64, mark: Int64, slots: [UInt16?]) {
        self.settled = settled
        self.mark = mark
        self.slots = slots
    }

    init(_ stored: UnsafeRawBufferPointer, _ place: @autoclosure () -> String) throws(BrokerError) {
        guard stored.count >= Self.fixedSize, stored[0] == Self.version else {
            throw BrokerError(.corrupted, "the state of \(place()) has \(stored.count) bytes, or another version")
        }
        let count = Int(UInt32(littleEndian: stored.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        settled = Int64(littleEndian: stored.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        mark = Int64(littleEndian: stored.loadUnaligned(fromByteOffset: 16, as: Int64.self))
        guard stored.count == Self.fixedSize + count * 2, count <= QueueSettings.largestSpread,
            0..<PartitionRow.maximum ~= settled, 0..<PartitionRow.maximum ~= mark, settled + Int64(count) <= mark
        else {
            throw BrokerError(
                .corrupted,
                "the state of \(place()) says \(settled), \(mark) and \(count) slots in \(stored.count) bytes"
            )
        }
        slots = (0..<count).map { index in
            let offset = Self.fixedSize + index * 2
            let count = UInt16(littleEndian: stored.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            return count > Self.maximumCount ? nil : count
        }
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.version, 0, 0, 0]
        bytes.reserveCapacity(Self.fixedSize + slots.count * 2)
        bytes.appendLittleEndian(UInt32(slots.count))
        bytes.appendLittleEndian(settled)
        bytes.appendLittleEndian(mark)
        for count in slots { bytes.appendLittleEndian(count ?? .max) }
        return bytes
    }
}

/// The table `shared`: the state of each shared group in each partition, keyed by topic id, partition and group.
enum SharedTable {
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
    ) throws -> SharedRow? {
        let place = "shared group '\(group)' in \(topic.name)/\(partition)"
        let stored = try key(topic, partition, group).withUnsafeBytes {
            try transaction.sealed($0, in: tables.shared, "the state of \(place)")
        }
        return try stored.map { try SharedRow($0, place) }
    }

    /// Throws when the topic was deleted meanwhile.
    static func write(
        _ row: SharedRow,
        _ topic: Topic,
        _ partition: Int,
        _ group: String,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        guard try topic.exists(in: transaction, tables) else {
            throw SourceError(.unknownTopic, "topic '\(topic.name)' was deleted")
        }
        try transaction.putSealed(row.encoded, for: key(topic, partition, group), in: tables.shared)
    }

    /// Removes what all groups have settled in the topic.
    static func removeAll(of topic: Topic, in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        try transaction.withCursor(in: tables.shared) { cursor in
            var row = try topic.row.id.withUnsafeBytes { try cursor.seek(atLeast: $0) }
            while let key = row?.key, key.starts(with: topic.row.id) {
                try cursor.delete()
                row = try cursor.next()
            }
        }
    }
}

extension SharedTable {
    /// Beside the partitions, which have lower numbers.
    private static let consumerRow = Int(UInt32.max)

    /// The names of the topic's groups that have had consumers, sorted.
    static func groups(
        of topic: Topic,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> [String] {
        let prefix = key(topic, consumerRow, "")
        return try transaction.withCursor(in: tables.shared) { cursor in
            var groups: [String] = []
            var row = try prefix.withUnsafeBytes { try cursor.seek(atLeast: $0) }
            while let key = row?.key, key.starts(with: prefix) {
                groups.append(String(decoding: key.dropFirst(prefix.count), as: UTF8.self))
                row = try cursor.next()
            }
            return groups
        }
    }

    /// A number that no consumer of the group had before; rises across restarts too.
    static func newConsumer(
        _ topic: Topic,
        _ group: String,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> SharedPartition.ConsumerID {
        guard try topic.exists(in: transaction, tables) else {
            throw SourceError(.unknownTopic, "topic '\(topic.name)' was deleted")
        }
        let key = key(topic, consumerRow, group)
        let place = "the last consumer of shared group '\(group)' of \(topic.name)"
        let stored = try key.withUnsafeBytes { try transaction.sealed($0, in: tables.shared, place) }
        guard stored?.count ?? 8 == 8 else { throw BrokerError(.corrupted, "\(place) has \(stored?.count ?? 0) bytes") }
        let last = stored.map { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) } ?? 0
        guard 0..<PartitionRow.maximum ~= last else { throw BrokerError(.corrupted, "\(place) is \(last)") }
        var value: [UInt8] = []
        value.appendLittleEndian(last + 1)
        try transaction.putSealed(value, for: key, in: tables.shared)
        return last + 1
    }
}
