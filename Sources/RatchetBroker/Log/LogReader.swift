import LMDB
import Ratchet

/// Reads a partition's log, in short transactions on the calling task.
struct LogReader: Sendable {
    /// What one read returns at most; a first message that is larger than `bytes` is returned alone.
    struct Limits: Sendable {
        var messages: Int
        var bytes: Int
    }

    /// Where the last read has stopped within a chunk: its next record need not be looked for, nor the chunk verified
    /// again. It is of no use once compaction has put another chunk in its place.
    struct Place: Sendable {
        fileprivate var offset: Int64
        fileprivate var chunk: Int64
        fileprivate var checksum: UInt64
        fileprivate var byte: Int
        fileprivate var index: Int
    }

    /// What one read has found.
    struct Found {
        /// Nil where all that was walked over is gone: there may be more behind it.
        var batch: MessageBatch?
        /// The offset to go on from.
        var next: Int64
    }

    let log: PartitionLog

    init(_ log: PartitionLog) { self.log = log }

    /// The messages from `offset` on, nil at the end of the log and in what is not shown yet, or while nobody leads it. `place` is what the read before this one has left, and
    /// nil at first. The batch covers what is gone from `covering` on, nil for `offset`. Throws ``SourceError``: offset out of range, or corrupted when a chunk is not what was written.
    func read(
        from offset: Int64,
        covering: Int64? = nil,
        generation: Int64,
        limits: Limits,
        place: inout Place?
    ) throws -> Found? {
        let range = log.range
        guard range.contains(offset) else {
            if range.upperBound...max(range.upperBound, log.held.upperBound) ~= offset { return nil }
            throw outOfRange(offset, range)
        }
        guard let storage = log.home else { return nil }
        var last = place
        let found: Found
        do {
            found = try read(from: offset, covering ?? offset, generation, limits, &last, range.upperBound, storage)
        } catch let error as BrokerError where log.isReplicated && storage.hasEnded(error) {
            // The node was stopped, or its disk has failed: another one leads, or will.
            log.lose(storage)
            return nil
        }
        place = last
        return found
    }

    private func read(
        from offset: Int64,
        _ covering: Int64,
        _ generation: Int64,
        _ limits: Limits,
        _ place: inout Place?,
        _ end: Int64,
        _ storage: Storage
    ) throws -> Found {
        var last = place
        let found = try storage.read { transaction in
            try transaction.withCursor(in: storage.tables.log) { cursor in
                var scan = Scan(reader: self, limits: limits, offset: offset, end: end, place: last)
                guard try scan.run(cursor) else { throw try missing(offset, in: transaction, storage.tables) }
                last = scan.place
                let batch = scan.count > 0 ? try batch(from: covering, generation: generation, scan) : nil
                return Found(batch: batch, next: scan.offset)
            }
        }
        place = last
        return found
    }

    private func batch(from offset: Int64, generation: Int64, _ scan: Scan) throws -> MessageBatch {
        do {
            return try MessageBatch(
                partition: log.partition,
                generation: generation,
                startOffset: offset,
                count: scan.count,
                byteCount: scan.size
            ) { bytes, offsets in
                var (at, number) = (0, 0)
                for slice in scan.slices {
                    let end = at + slice.records.count
                    UnsafeMutableRawBufferPointer(rebasing: bytes[at..<end]).copyMemory(from: slice.records)
                    at = end
                    for index in slice.indices {
                        offsets[number] = ChunkLayout.offset(of: index, slice.header, in: slice.chunk)
                        number += 1
                    }
                }
            }
        } catch let error as MessageError {
            throw corrupted(offset, error.detail)
        }
    }

    /// Why there is no chunk for `offset`, and none before it: retention was faster, or the chunk is lost.
    private func missing(
        _ offset: Int64,
        in transaction: borrowing ReadTransaction,
        _ tables: Tables
    ) throws -> SourceError {
        guard let row = try transaction.partition(log.uid, in: tables), row.start <= offset else {
            return outOfRange(offset, log.range)
        }
        return corrupted(offset, "it is not there")
    }

    func outOfRange(_ offset: Int64, _ range: Range<Int64>) -> SourceError {
        SourceError(
            .offsetOutOfRange,
            "offset \(offset) of \(log.partition): the log holds \(range.lowerBound)..<\(range.upperBound)"
        )
    }

    fileprivate func corrupted(_ offset: Int64, _ what: String) -> SourceError {
        SourceError(
            .corrupted,
            "the chunk at offset \(offset) of \(log.partition) in \(log.home?.path ?? "no node"): \(what); "
                + "restore the broker from a copy, or start behind it"
        )
    }
}

/// One walk over consecutive chunks: finds what to copy, verifies it, copies nothing.
private struct Scan {
    /// Records of one chunk.
    struct Slice {
        var chunk: UnsafeRawBufferPointer
        var header: ChunkLayout.Header
        var indices: Range<Int>
        var records: UnsafeRawBufferPointer
    }

    /// Chunks without a record that are walked over in one transaction.
    private static let maximumHoles = 1024

    let reader: LogReader
    let limits: LogReader.Limits
    /// The offset of the next record.
    var offset: Int64
    let end: Int64
    var place: LogReader.Place?
    var slices: [Slice] = []
    var count = 0
    var size = 0
    private var holes = 0

    init(reader: LogReader, limits: LogReader.Limits, offset: Int64, end: Int64, place: LogReader.Place?) {
        self.reader = reader
        self.limits = limits
        self.offset = offset
        self.end = end
        // A place is of use only where the last read has stopped.
        self.place = place?.offset == offset ? place : nil
    }

    /// False when there is no chunk for the offset, and none before it.
    mutating func run(_ cursor: borrowing Cursor) throws -> Bool {
        guard var chunk = try seek(cursor) else { return false }
        while true {
            try take(chunk)
            guard place == nil, offset < end, count < limits.messages, size < limits.bytes, holes < Self.maximumHoles
            else { return true }
            guard let next = try cursor.next() else { throw reader.corrupted(offset, "it is not there") }
            chunk = next
        }
    }

    /// The chunk that holds `offset`, nil if it was removed.
    private mutating func seek(_ cursor: borrowing Cursor) throws -> Cursor.Row? {
        let uid = reader.log.uid
        if let place, let row = try LogKey(uid, place.chunk).withBytes({ try cursor.seek(exactly: $0) }),
            row.value.count >= ChunkLayout.headerSize, ChunkLayout.checksum(of: row.value) == place.checksum
        {
            return row
        }
        place = nil
        return try cursor.chunk(holding: LogKey(uid, offset))
    }

    private mutating func take(_ row: Cursor.Row) throws {
        guard let key = LogKey(row.key), key.uid == reader.log.uid else {
            throw reader.corrupted(offset, "it is not there")
        }
        let header: ChunkLayout.Header
        do throws(ChunkLayout.Damage) {
            header = try ChunkLayout.header(of: row.value)
            if place == nil { try ChunkLayout.verify(row.value, uid: key.uid) }
        } catch {
            throw reader.corrupted(key.offset, error.description)
        }
        guard header.baseOffset == key.offset, header.baseOffset <= offset, offset < header.endOffset else {
            throw reader.corrupted(offset, "the chunk before it holds \(header.baseOffset)..<\(header.endOffset)")
        }
        do throws(ChunkLayout.Damage) {
            try take(row.value, header)
        } catch {
            throw reader.corrupted(key.offset, error.description)
        }
    }

    /// Takes what fits of the records that are left in the chunk from `offset` on.
    private mutating func take(
        _ chunk: UnsafeRawBufferPointer,
        _ header: ChunkLayout.Header
    ) throws(ChunkLayout.Damage) {
        var walk = Walk(records: UnsafeRawBufferPointer(rebasing: chunk[header.records]))
        let first = place?.index ?? ChunkLayout.index(atLeast: offset, header, in: chunk)
        if let place { walk.byte = place.byte } else { try walk.skip(first) }
        let start = walk.byte
        var index = first
        if header.count - first <= limits.messages - count, walk.records.count - start <= limits.bytes - size {
            // All of it, as it is: the records are checked when the batch is made.
            walk.byte = walk.records.count
            index = header.count
        } else {
            while index < header.count, count + index - first < limits.messages {
                let next = try walk.size()
                guard size + walk.byte - start + next <= limits.bytes || count + index == first else { break }
                walk.byte += next
                index += 1
            }
        }
        if index > first {
            let records = UnsafeRawBufferPointer(rebasing: walk.records[start..<walk.byte])
            slices.append(Slice(chunk: chunk, header: header, indices: first..<index, records: records))
            count += index - first
            size += walk.byte - start
        } else if first == header.count {
            holes += 1
        }
        try leave(chunk, header, at: index, walk.byte)
    }

    /// Goes on behind the chunk, or stays in it at the record that is the next one.
    private mutating func leave(
        _ chunk: UnsafeRawBufferPointer,
        _ header: ChunkLayout.Header,
        at index: Int,
        _ byte: Int
    ) throws(ChunkLayout.Damage) {
        guard index < header.count else {
            offset = header.endOffset
            place = nil
            return
        }
        let next = ChunkLayout.offset(of: index, header, in: chunk)
        guard offset <= next, next < header.endOffset else {
            throw ChunkLayout.Damage(description: "record \(index) has offset \(next)")
        }
        offset = next
        place = .init(
            offset: next,
            chunk: header.baseOffset,
            checksum: ChunkLayout.checksum(of: chunk),
            byte: byte,
            index: index
        )
    }
}

/// Goes from record to record by their sizes.
private struct Walk {
    let records: UnsafeRawBufferPointer
    var byte = 0

    /// The size of the record at `byte`; it ends within the chunk.
    func size() throws(ChunkLayout.Damage) -> Int {
        guard records.count - byte >= RecordLayout.fixedSize,
            case let size = Int(UInt32(littleEndian: records.loadUnaligned(fromByteOffset: byte, as: UInt32.self))),
            RecordLayout.fixedSize...(records.count - byte) ~= size
        else { throw ChunkLayout.Damage(description: "a record at byte \(byte) does not fit") }
        return size
    }

    mutating func skip(_ count: Int) throws(ChunkLayout.Damage) {
        for _ in 0..<count { byte += try size() }
    }
}
