import Ratchet

/// A stored chunk: consecutive records of one partition, written by one commit and guarded by one checksum.
///
///     checksum u64 | magic u8 | version u8 | zero u16 | count u32
///     base offset i64 | maximum timestamp i64 | size u64 | records
///
/// All integers are little-endian. The checksum is the XXH64 of everything behind it, seeded with the partition's uid,
/// so that a chunk which turns up in another partition does not pass. The records are encoded as ``RecordLayout`` says;
/// the first has the base offset, each other one the offset after the one before it.
enum ChunkLayout {
    static let headerSize = 40
    static let magic: UInt8 = 0xB7
    static let version: UInt8 = 1

    /// A chunk holds at most this many records.
    static let maximumCount = 10_000
    /// A chunk holds at most this many bytes of records, unless it holds only one.
    static let maximumBytes = 1 << 20

    struct Header: Equatable, Sendable {
        var count: Int
        var baseOffset: Int64
        var maximumTimestamp: Int64
        /// The bytes of all records.
        var size: Int

        /// The offset after the last record's.
        var endOffset: Int64 { baseOffset + Int64(count) }
    }

    /// Why bytes are not the chunk that was written.
    struct Damage: Error, CustomStringConvertible {
        let description: String
    }

    /// Writes the header in front of the records that `chunk` holds already, from ``headerSize`` on.
    static func seal(_ chunk: UnsafeMutableRawBufferPointer, header: Header, uid: UInt32) {
        chunk.storeBytes(of: magic, toByteOffset: 8, as: UInt8.self)
        chunk.storeBytes(of: version, toByteOffset: 9, as: UInt8.self)
        chunk.storeBytes(of: 0, toByteOffset: 10, as: UInt16.self)
        chunk.storeBytes(of: UInt32(header.count).littleEndian, toByteOffset: 12, as: UInt32.self)
        chunk.storeBytes(of: header.baseOffset.littleEndian, toByteOffset: 16, as: Int64.self)
        chunk.storeBytes(of: header.maximumTimestamp.littleEndian, toByteOffset: 24, as: Int64.self)
        chunk.storeBytes(of: UInt64(header.size).littleEndian, toByteOffset: 32, as: UInt64.self)
        let checksum = checksum(of: UnsafeRawBufferPointer(chunk), uid: uid)
        chunk.storeBytes(of: checksum.littleEndian, toByteOffset: 0, as: UInt64.self)
    }

    /// The header, checked against the chunk's size but not against its checksum: enough to walk over a log, not to
    /// serve from it.
    static func header(of chunk: UnsafeRawBufferPointer) throws(Damage) -> Header {
        guard chunk.count >= headerSize else {
            throw Damage(description: "\(chunk.count) bytes are too few for a header")
        }
        guard chunk[8] == magic else { throw Damage(description: "it does not begin as a chunk does") }
        guard chunk[9] == version else {
            throw Damage(description: "it is of format \(chunk[9]), this version reads \(version)")
        }
        let count = UInt32(littleEndian: chunk.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
        let base = Int64(littleEndian: chunk.loadUnaligned(fromByteOffset: 16, as: Int64.self))
        let timestamp = Int64(littleEndian: chunk.loadUnaligned(fromByteOffset: 24, as: Int64.self))
        let size = UInt64(littleEndian: chunk.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
        guard count > 0, base >= 0, base <= Int64.max - Int64(count), size == UInt64(chunk.count - headerSize) else {
            throw Damage(description: "\(count) records of \(size) bytes at offset \(base), in \(chunk.count) bytes")
        }
        return Header(count: Int(count), baseOffset: base, maximumTimestamp: timestamp, size: Int(size))
    }

    /// Throws unless the chunk holds exactly what was written for this partition.
    static func verify(_ chunk: UnsafeRawBufferPointer, uid: UInt32) throws(Damage) {
        let stored = UInt64(littleEndian: chunk.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
        guard stored == checksum(of: chunk, uid: uid) else {
            throw Damage(description: "the checksum of its \(chunk.count) bytes does not match")
        }
    }

    private static func checksum(of chunk: UnsafeRawBufferPointer, uid: UInt32) -> UInt64 {
        Checksum.xxh64(UnsafeRawBufferPointer(rebasing: chunk[8...]), seed: UInt64(uid))
    }
}
