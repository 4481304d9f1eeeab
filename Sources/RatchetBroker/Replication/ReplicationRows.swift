import LMDB
import Ratchet

/// The table `replication`. In the broker's own file: the ``Leadership`` of each partition by uid, and the disk of each
/// node. In a node's: what a replica knows of its log, by uid, and its ``CompactionMark``.
enum ReplicationTable {
    /// No partition has it.
    private static func key(ofNode node: Int) -> [UInt8] {
        var key = Array("node".utf8)
        key.appendBigEndian(UInt32(node))
        return key
    }

    static func writeDisk(
        _ disk: UInt64,
        of node: Int,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        var value: [UInt8] = []
        value.appendLittleEndian(disk)
        try transaction.putSealed(value, for: key(ofNode: node), in: tables.replication)
    }

    static func disk(
        of node: Int,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> UInt64? {
        let stored = try key(ofNode: node).withUnsafeBytes {
            try transaction.sealed($0, in: tables.replication, "the row of node \(node)")
        }
        guard let stored else { return nil }
        var reader = RowReader(stored, "the row of node \(node)")
        let disk = try reader.next(UInt64.self)
        return try reader.end(after: disk)
    }

    static func write(
        _ leadership: Leadership,
        _ uid: UInt32,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        try put(leadership.encoded, uid, in: transaction, tables)
    }

    static func leadership(
        of uid: UInt32,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> Leadership? {
        let what = "the leadership of partition \(uid)"
        return try get(uid, what, in: transaction, tables).map { try Leadership($0, what) }
    }

    static func write(
        _ row: ReplicaRow,
        _ uid: UInt32,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        try put(row.encoded, uid, in: transaction, tables)
    }

    static func replica(
        of uid: UInt32,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> ReplicaRow {
        let what = "the replica's row of partition \(uid)"
        return try get(uid, what, in: transaction, tables).map { try ReplicaRow($0, what) } ?? .new
    }

    /// Removes what is known of a log. Nothing when there are no rows.
    static func remove(_ uid: UInt32, in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        _ = try withUnsafeBytes(of: uid.bigEndian) { try transaction.delete($0, in: tables.replication) }
        _ = try key(ofMark: uid).withUnsafeBytes { try transaction.delete($0, in: tables.replication) }
    }

    private static func key(ofMark uid: UInt32) -> [UInt8] {
        var key: [UInt8] = []
        key.appendBigEndian(uid)
        return key + "compacted".utf8
    }

    static func write(
        _ mark: CompactionMark,
        _ uid: UInt32,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        var value: [UInt8] = []
        for number in [mark.end, mark.tombstones, mark.cuts] { value.appendLittleEndian(number) }
        value.appendLittleEndian(UInt32(mark.isVoid ? 1 : 0))
        try transaction.putSealed(value, for: key(ofMark: uid), in: tables.replication)
    }

    static func mark(
        of uid: UInt32,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> CompactionMark {
        let what = "the row of what partition \(uid) has lost by compaction"
        let stored = try key(ofMark: uid).withUnsafeBytes { try transaction.sealed($0, in: tables.replication, what) }
        guard let stored else { return CompactionMark() }
        var reader = RowReader(stored, what)
        let mark = CompactionMark(
            end: try reader.next(Int64.self),
            tombstones: try reader.next(Int64.self),
            cuts: try reader.next(Int64.self),
            isVoid: try reader.next(UInt32.self) != 0
        )
        return try reader.end(after: mark)
    }

    private static func put(
        _ value: [UInt8],
        _ uid: UInt32,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        try value.withUnsafeBytes { value in
            try withUnsafeBytes(of: uid.bigEndian) { try transaction.putSealed(value, for: $0, in: tables.replication) }
        }
    }

    private static func get(
        _ uid: UInt32,
        _ what: String,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> UnsafeRawBufferPointer? {
        try withUnsafeBytes(of: uid.bigEndian) { try transaction.sealed($0, in: tables.replication, what) }
    }
}

extension Leadership {
    /// Throws ``BrokerError/Code/corrupted`` when the bytes are none that could have been written.
    init(_ stored: UnsafeRawBufferPointer, _ what: String) throws(BrokerError) {
        var reader = RowReader(stored, what)
        let (epoch, version) = (try reader.next(Int32.self), try reader.next(Int64.self))
        let leader = Int(try reader.next(Int32.self))
        let minimum = Int(try reader.next(UInt32.self))
        let allowsUnclean = try reader.next(UInt32.self) != 0
        self.init(replicas: try reader.nodes(), minimum: minimum, allowsUnclean: allowsUnclean)
        (self.epoch, self.version) = (epoch, version)
        self.leader = leader < 0 ? nil : leader
        inSync = try reader.nodes()
        eligible = try reader.nodes()
        wiped = try reader.nodes()
        let members = inSync + eligible + wiped + (self.leader.map { [$0] } ?? [])
        guard reader.isAtEnd, epoch >= 0, version >= 0, members.allSatisfy(replicas.contains) else {
            throw reader.damaged
        }
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(epoch)
        bytes.appendLittleEndian(version)
        bytes.appendLittleEndian(Int32(leader ?? -1))
        bytes.appendLittleEndian(UInt32(minimum))
        bytes.appendLittleEndian(UInt32(allowsUnclean ? 1 : 0))
        for nodes in [replicas, inSync, eligible, wiped] {
            bytes.appendLittleEndian(UInt32(nodes.count))
            for node in nodes { bytes.appendLittleEndian(UInt32(node)) }
        }
        return bytes
    }
}

/// What a replica knows of its log, beside the ``PartitionRow``.
struct ReplicaRow: Equatable, Sendable {
    var epochs = LeaderEpochs()
    /// As it was when the row was written: it may be higher by now.
    var highWatermark: Int64 = 0
    /// The leader may know more of producers than this log tells: of those from this number on. Nil when it does not.
    var unlearned: Int64?
}

extension ReplicaRow {
    /// Of a log that nothing was copied to.
    static let new = ReplicaRow(unlearned: 0)

    /// Throws ``BrokerError/Code/corrupted`` when the bytes are none that could have been written.
    init(_ stored: UnsafeRawBufferPointer, _ what: String) throws(BrokerError) {
        var reader = RowReader(stored, what)
        highWatermark = try reader.next(Int64.self)
        let first = try reader.next(Int64.self)
        unlearned = first < 0 ? nil : first
        var entries: [LeaderEpochs.Entry] = []
        while !reader.isAtEnd {
            entries.append(.init(epoch: try reader.next(Int32.self), start: try reader.next(Int64.self)))
        }
        let offsets = entries.map(\.start) + [highWatermark]
        guard offsets.allSatisfy({ 0..<PartitionRow.maximum ~= $0 }), entries.allSatisfy({ $0.epoch >= 0 }), first >= -1
        else {
            throw reader.damaged
        }
        epochs = LeaderEpochs(entries)
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(highWatermark)
        bytes.appendLittleEndian(unlearned ?? -1)
        for entry in epochs.entries {
            bytes.appendLittleEndian(entry.epoch)
            bytes.appendLittleEndian(entry.start)
        }
        return bytes
    }
}

/// Reads a row's numbers, one after the other.
private struct RowReader {
    private let bytes: UnsafeRawBufferPointer
    private let what: String
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer, _ what: String) {
        self.bytes = bytes
        self.what = what
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func next<N: FixedWidthInteger>(_: N.Type) throws(BrokerError) -> N {
        guard bytes.count - position >= MemoryLayout<N>.size else { throw damaged }
        defer { position += MemoryLayout<N>.size }
        return N(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: N.self))
    }

    mutating func nodes() throws(BrokerError) -> [Int] {
        var nodes: [Int] = []
        for _ in 0..<(try next(UInt32.self)) { nodes.append(Int(try next(UInt32.self))) }
        return nodes
    }

    func end<R>(after value: R) throws(BrokerError) -> R {
        guard isAtEnd else { throw damaged }
        return value
    }

    var damaged: BrokerError {
        BrokerError(.corrupted, "\(what), \(bytes.count) bytes, is none that could have been written")
    }
}
