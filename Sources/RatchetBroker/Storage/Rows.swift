import LMDB
import Ratchet

/// A key of the table `log`: the partition's uid, then the base offset, both big-endian, so that a partition's chunks
/// lie in order.
struct LogKey: Equatable {
    static let size = 12

    var uid: UInt32
    var offset: Int64

    init(_ uid: UInt32, _ offset: Int64) {
        self.uid = uid
        self.offset = offset
    }

    /// Nil unless the bytes are such a key.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.size else { return nil }
        uid = UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
        offset = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: Int64.self))
    }

    @inline(__always)
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        let words = (
            uid.bigEndian, UInt32(truncatingIfNeeded: offset >> 32).bigEndian,
            UInt32(truncatingIfNeeded: offset).bigEndian
        )
        return try withUnsafeBytes(of: words) { try body($0) }
    }
}

extension Cursor {
    /// The chunk of the table `log` that holds the offset of a partition, or would if nothing were missing; nil if it was
    /// removed from the log's front.
    func chunk(holding wanted: LogKey) throws -> Row? {
        let following = try wanted.withBytes { try seek(atLeast: $0) }
        if let following, LogKey(following.key) == wanted { return following }
        let row = following == nil ? try last() : try previous()
        return row.flatMap { LogKey($0.key)?.uid == wanted.uid ? $0 : nil }
    }
}

/// A row of the table `partitions`, keyed by the partition's uid: the offsets that the log holds and the bytes of its
/// chunks.
struct PartitionRow: Equatable, Sendable {
    static let size = 24
    /// No log reaches it: offsets and bytes behind it have room for all that is ever added to them.
    static let maximum: Int64 = 1 << 62

    var start: Int64 = 0
    var end: Int64 = 0
    var bytes: Int64 = 0

    init() {}

    init(_ stored: UnsafeRawBufferPointer, uid: UInt32) throws(BrokerError) {
        guard stored.count == Self.size else {
            throw BrokerError(.corrupted, "the row of partition \(uid) has \(stored.count) bytes, not \(Self.size)")
        }
        start = Int64(littleEndian: stored.loadUnaligned(as: Int64.self))
        end = Int64(littleEndian: stored.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        bytes = Int64(littleEndian: stored.loadUnaligned(fromByteOffset: 16, as: Int64.self))
        guard 0 <= start, start <= end, end < Self.maximum, 0..<Self.maximum ~= bytes else {
            throw BrokerError(.corrupted, "the row of partition \(uid) says \(start)..<\(end), \(bytes) bytes")
        }
    }

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeBytes(of: (start.littleEndian, end.littleEndian, bytes.littleEndian)) { try body($0) }
    }
}

extension Transaction where Self: ~Copyable {
    /// The partition's row, nil once its topic is deleted.
    func partition(_ uid: UInt32, in tables: Tables) throws -> PartitionRow? {
        try withUnsafeBytes(of: uid.bigEndian) { try sealed($0, in: tables.partitions, "the row of partition \(uid)") }
            .map { try PartitionRow($0, uid: uid) }
    }
}

extension WriteTransaction {
    func put(_ row: PartitionRow, for uid: UInt32, in tables: Tables) throws {
        try row.withBytes { row in
            try withUnsafeBytes(of: uid.bigEndian) { try putSealed(row, for: $0, in: tables.partitions) }
        }
    }

    func put(_ value: [UInt8], for key: [UInt8], in table: Table) throws {
        _ = try value.withUnsafeBytes { value in try key.withUnsafeBytes { try put(value, for: $0, in: table) } }
    }
}

extension [UInt8] {
    /// Appends an integer, most significant byte first: as part of a key it sorts as a number.
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
