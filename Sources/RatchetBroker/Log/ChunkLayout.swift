import Ratchet

/// A stored chunk: a range of consecutive offsets of one partition and the records that are left of it, written by one
/// commit and guarded by one checksum.
///
///     checksum u64 | magic u8 | version u8 | flags u16 | count u32
///     base offset i64 | maximum timestamp i64 | size u64 | span u32 | producers u32
///     records | deltas u32 × count, unless count is span | producers' entries
///
/// All integers are little-endian. The checksum is the XXH64 of everything behind it, seeded with the partition's uid,
/// so that a chunk which turns up in another partition does not pass. The records are encoded as ``RecordLayout`` says.
/// A chunk covers `span` offsets from its base offset on, and the next chunk begins where it ends: so a chunk that is
/// missing is noticed, though records may be gone. A record's delta is its distance from the base offset; where no
/// record is gone, each has the offset after the one before it.
enum ChunkLayout {
    static let headerSize = 48
    static let magic: UInt8 = 0xB7
    static let version: UInt8 = 2
    /// In `flags`: the records are gone after a restart.
    private static let transient: UInt16 = 1
    private static let deltaSize = 4

    /// A chunk holds at most this many records.
    static let maximumCount = 10_000
    /// A chunk holds at most this many bytes of records, unless it holds only one.
    static let maximumBytes = 1 << 20

    struct Header: Equatable, Sendable {
        /// The records.
        var count: Int
        var baseOffset: Int64
        var maximumTimestamp: Int64
        /// The bytes of all records.
        var size: Int
        /// The offsets covered, `count` at the least.
        var span: Int
        /// The entries about producers.
        var producers = 0
        /// Whether the records are gone after a restart.
        var isTransient = false

        /// A chunk with a record for each of its offsets, unless `span` says otherwise.
        init(count: Int, baseOffset: Int64, maximumTimestamp: Int64, size: Int, span: Int? = nil) {
            self.count = count
            self.baseOffset = baseOffset
            self.maximumTimestamp = maximumTimestamp
            self.size = size
            self.span = span ?? count
        }

        /// The offset after the last one covered.
        var endOffset: Int64 { baseOffset + Int64(span) }
        /// Where the records lie in the chunk.
        var records: Range<Int> { headerSize..<headerSize + size }
        /// Where the deltas lie, empty where no record is gone.
        var deltas: Range<Int> { records.upperBound..<records.upperBound + (count < span ? count * deltaSize : 0) }
        /// Where the entries about producers lie, up to the chunk's end.
        var entries: Range<Int> { deltas.upperBound..<deltas.upperBound + producers * ProducerEntry.size }
        /// The bytes of the chunk.
        var chunkSize: Int { entries.upperBound }
    }

    /// Why bytes are not the chunk that was written.
    struct Damage: Error, CustomStringConvertible {
        let description: String
    }

    /// Writes the header and the checksum of a chunk whose records, deltas and entries lie where the header says.
    static func seal(_ chunk: UnsafeMutableRawBufferPointer, header: Header, uid: UInt32) {
        chunk.storeBytes(of: magic, toByteOffset: 8, as: UInt8.self)
        chunk.storeBytes(of: version, toByteOffset: 9, as: UInt8.self)
        chunk.storeBytes(of: (header.isTransient ? transient : 0).littleEndian, toByteOffset: 10, as: UInt16.self)
        chunk.storeBytes(of: UInt32(header.count).littleEndian, toByteOffset: 12, as: UInt32.self)
        chunk.storeBytes(of: header.baseOffset.littleEndian, toByteOffset: 16, as: Int64.self)
        chunk.storeBytes(of: header.maximumTimestamp.littleEndian, toByteOffset: 24, as: Int64.self)
        chunk.storeBytes(of: UInt64(header.size).littleEndian, toByteOffset: 32, as: UInt64.self)
        chunk.storeBytes(of: UInt32(header.span).littleEndian, toByteOffset: 40, as: UInt32.self)
        chunk.storeBytes(of: UInt32(header.producers).littleEndian, toByteOffset: 44, as: UInt32.self)
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
        func number<N: FixedWidthInteger>(_ offset: Int, _: N.Type) -> N {
            N(littleEndian: chunk.loadUnaligned(fromByteOffset: offset, as: N.self))
        }
        let base = number(16, Int64.self)
        let size = number(32, UInt64.self)
        let span = number(40, UInt32.self)
        guard span > 0, base >= 0, base <= Int64.max - Int64(span), size <= UInt64(chunk.count) else {
            throw Damage(description: "\(span) offsets from \(base) on, of \(size) bytes in \(chunk.count)")
        }
        var header = Header(
            count: Int(number(12, UInt32.self)),
            baseOffset: base,
            maximumTimestamp: number(24, Int64.self),
            size: Int(size),
            span: Int(span)
        )
        header.producers = Int(number(44, UInt32.self))
        header.isTransient = number(10, UInt16.self) & transient != 0
        guard header.count <= header.span, header.chunkSize == chunk.count, header.count > 0 || header.size == 0 else {
            throw Damage(
                description: "\(header.count) records of \(size) bytes in \(span) offsets, "
                    + "\(header.producers) producers, in \(chunk.count) bytes"
            )
        }
        return header
    }

    /// Writes the deltas of a chunk's records where its header says.
    static func put(deltas: [UInt32], _ header: Header, into chunk: UnsafeMutableRawBufferPointer) {
        for (index, delta) in deltas.enumerated() {
            chunk.storeBytes(
                of: delta.littleEndian,
                toByteOffset: header.deltas.lowerBound + index * deltaSize,
                as: UInt32.self
            )
        }
    }

    /// The offset of the record at `index`, in `0..<count`.
    static func offset(of index: Int, _ header: Header, in chunk: UnsafeRawBufferPointer) -> Int64 {
        guard header.count < header.span else { return header.baseOffset + Int64(index) }
        let at = header.deltas.lowerBound + index * deltaSize
        return header.baseOffset + Int64(UInt32(littleEndian: chunk.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
    }

    /// The index of the first record whose offset is not below `offset`; `count` if there is none.
    static func index(atLeast offset: Int64, _ header: Header, in chunk: UnsafeRawBufferPointer) -> Int {
        guard header.count < header.span else { return min(max(Int(offset - header.baseOffset), 0), header.count) }
        var (low, high) = (0, header.count)
        while low < high {
            let middle = (low + high) / 2
            if self.offset(of: middle, header, in: chunk) < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Throws unless the chunk holds exactly what was written for this partition, and its records' offsets rise within
    /// what it covers.
    static func verify(_ chunk: UnsafeRawBufferPointer, uid: UInt32) throws(Damage) {
        guard checksum(of: chunk) == checksum(of: chunk, uid: uid) else {
            throw Damage(description: "the checksum of its \(chunk.count) bytes does not match")
        }
        let header = try Self.header(of: chunk)
        guard header.count < header.span else { return }
        var last = header.baseOffset - 1
        for index in 0..<header.count {
            let offset = Self.offset(of: index, header, in: chunk)
            guard last < offset, offset < header.endOffset else {
                throw Damage(description: "record \(index) has offset \(offset) after \(last)")
            }
            last = offset
        }
    }

    /// The checksum that is stored in the chunk: another one is another chunk.
    static func checksum(of chunk: UnsafeRawBufferPointer) -> UInt64 {
        UInt64(littleEndian: chunk.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
    }

    private static func checksum(of chunk: UnsafeRawBufferPointer, uid: UInt32) -> UInt64 {
        Checksum.xxh64(UnsafeRawBufferPointer(rebasing: chunk[8...]), seed: UInt64(uid))
    }
}
