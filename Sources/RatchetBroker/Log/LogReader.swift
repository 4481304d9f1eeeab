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
    /// again.
    struct Place: Sendable {
        fileprivate var offset: Int64
        fileprivate var chunk: Int64
        fileprivate var byte: Int
    }

    let storage: Storage
    let log: PartitionLog

    /// The messages from `offset` on, nil at the end of the log. `place` is what the read before this one has left, and
    /// nil at first. Throws ``SourceError``: offset out of range, or corrupted when a chunk is not what was written.
    func read(from offset: Int64, generation: Int64, limits: Limits, place: inout Place?) throws -> MessageBatch? {
        let range = log.range
        guard range.contains(offset) else {
            if offset == range.upperBound { return nil }
            throw outOfRange(offset, range)
        }
        var next = place
        let found = try storage.read { transaction in
            try transaction.withCursor(in: storage.tables.log) { cursor in
                var scan = Scan(reader: self, limits: limits, offset: offset, end: range.upperBound, place: next)
                try scan.run(cursor)
                next = scan.place
                return try batch(from: offset, generation: generation, scan)
            }
        }
        place = next
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
                var at = 0
                for slice in scan.slices {
                    let end = at + slice.count
                    UnsafeMutableRawBufferPointer(rebasing: bytes[at..<end]).copyMemory(from: slice)
                    at = end
                }
                // Chunks follow each other without a gap.
                for index in offsets.indices { offsets[index] = offset + Int64(index) }
            }
        } catch let error as MessageError {
            throw corrupted(offset, error.detail)
        }
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
            "the chunk at offset \(offset) of \(log.partition) in \(storage.path): \(what); "
                + "restore the broker from a copy, or start behind it"
        )
    }
}

/// One walk over consecutive chunks: finds what to copy, verifies it, copies nothing.
private struct Scan {
    let reader: LogReader
    let limits: LogReader.Limits
    /// The offset of the next record.
    var offset: Int64
    let end: Int64
    var place: LogReader.Place?
    var slices: [UnsafeRawBufferPointer] = []
    var count = 0
    var size = 0

    init(reader: LogReader, limits: LogReader.Limits, offset: Int64, end: Int64, place: LogReader.Place?) {
        self.reader = reader
        self.limits = limits
        self.offset = offset
        self.end = end
        // A place is of use only where the last read has stopped.
        self.place = place?.offset == offset ? place : nil
    }

    mutating func run(_ cursor: borrowing Cursor) throws {
        guard var chunk = try seek(cursor) else { throw reader.outOfRange(offset, reader.log.range) }
        while true {
            try take(chunk)
            guard place == nil, offset < end, count < limits.messages, size < limits.bytes else { return }
            guard let next = try cursor.next() else { throw reader.corrupted(offset, "it is not there") }
            chunk = next
        }
    }

    /// The chunk that holds `offset`, nil if it was removed.
    private func seek(_ cursor: borrowing Cursor) throws -> Cursor.Row? {
        let uid = reader.log.uid
        if let place { return try LogKey(uid, place.chunk).withBytes { try cursor.seek(exactly: $0) } }
        let wanted = LogKey(uid, offset)
        let following = try wanted.withBytes { try cursor.seek(atLeast: $0) }
        if let following, LogKey(following.key) == wanted { return following }
        let row = following == nil ? try cursor.last() : try cursor.previous()
        return row.flatMap { LogKey($0.key)?.uid == uid ? $0 : nil }
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
        var walk = Walk(records: UnsafeRawBufferPointer(rebasing: row.value[ChunkLayout.headerSize...]))
        do throws(ChunkLayout.Damage) {
            if let place { walk.byte = place.byte } else { try walk.skip(Int(offset - header.baseOffset)) }
            try take(&walk, rest: Int(header.endOffset - offset))
        } catch {
            throw reader.corrupted(key.offset, error.description)
        }
        place = offset < header.endOffset ? .init(offset: offset, chunk: key.offset, byte: walk.byte) : nil
    }

    /// Takes what fits of the `rest` records that follow in the chunk.
    private mutating func take(_ walk: inout Walk, rest: Int) throws(ChunkLayout.Damage) {
        let start = walk.byte
        var taken = 0
        if rest <= limits.messages - count, walk.records.count - start <= limits.bytes - size {
            // All of it, as it is: the records are checked when the batch is made.
            walk.byte = walk.records.count
            taken = rest
        } else {
            while taken < rest, count + taken < limits.messages {
                let next = try walk.size()
                guard size + walk.byte - start + next <= limits.bytes || count + taken == 0 else { break }
                walk.byte += next
                taken += 1
            }
        }
        guard taken > 0 else { return }
        slices.append(UnsafeRawBufferPointer(rebasing: walk.records[start..<walk.byte]))
        count += taken
        size += walk.byte - start
        offset += Int64(taken)
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
