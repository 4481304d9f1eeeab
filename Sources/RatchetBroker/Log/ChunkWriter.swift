import LMDB
import Ratchet

/// Appends to one partition within one transaction: gathers records and writes them as chunks, on the writer thread.
struct ChunkWriter {
    /// Records of one sender, one after the other; the sender's batch keeps the bytes alive until its append is done.
    struct Slice {
        var records: UnsafeRawBufferPointer
        var count: Int
        /// No record has a later one.
        var maximumTimestamp: Int64
        /// Whether the records are gone after a restart.
        var isTransient = false
    }

    let log: PartitionLog
    private(set) var row: PartitionRow
    private var slices: [Slice] = []
    private var entries: [ProducerEntry] = []
    private var count = 0
    private var size = 0
    /// Whether what is gathered is gone after a restart.
    private var isTransient = false

    init(_ log: PartitionLog, row: PartitionRow) {
        self.log = log
        self.row = row
    }

    /// The offset that the next record will get.
    var nextOffset: Int64 { row.end + Int64(count) }

    mutating func append(
        _ slice: Slice,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        try begin(isTransient: slice.isTransient, in: transaction, tables)
        var rest = slice
        while rest.count > 0 {
            if count + rest.count <= ChunkLayout.maximumCount, size + rest.records.count <= ChunkLayout.maximumBytes {
                take(rest)
                return
            }
            let head = Self.split(
                &rest,
                count: ChunkLayout.maximumCount - count,
                bytes: ChunkLayout.maximumBytes - size,
                atLeastOne: count == 0
            )
            if head.count > 0 { take(head) }
            try flush(in: transaction, tables)
        }
    }

    /// Appends a producer's batch, all of it to one chunk: half of it copied to another node would look like all.
    mutating func append(
        _ batch: [Slice],
        _ stamp: ProducerStamp,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        // Where one of them is to be there after a restart, all are.
        try begin(isTransient: batch.allSatisfy { $0.isTransient }, in: transaction, tables)
        let messages = batch.reduce(0) { $0 + $1.count }
        let bytes = batch.reduce(0) { $0 + $1.records.count }
        if count + messages > ChunkLayout.maximumCount || size + bytes > ChunkLayout.maximumBytes {
            try flush(in: transaction, tables)
        }
        entries.append(
            ProducerEntry(
                producer: stamp.producer,
                epoch: stamp.epoch,
                sequences: stamp.sequences,
                delta: UInt32(count),
                count: UInt32(messages)
            )
        )
        for slice in batch { take(slice) }
    }

    /// Writes what is gathered, what retention by size says, and the partition's row.
    mutating func finish(now: Int64, in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        try flush(in: transaction, tables)
        if let limit = log.settings.sizeLimit, row.bytes > limit {
            try log.trim(&row, now: now, in: transaction, tables)
        }
        try transaction.put(row, for: log.uid, in: tables)
    }

    /// Transient records have chunks of their own.
    private mutating func begin(
        isTransient: Bool,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        if self.isTransient != isTransient { try flush(in: transaction, tables) }
        self.isTransient = isTransient
    }

    private mutating func take(_ slice: Slice) {
        slices.append(slice)
        count += slice.count
        size += slice.records.count
    }

    private mutating func flush(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        guard count > 0 else { return }
        var header = ChunkLayout.Header(
            count: count,
            baseOffset: row.end,
            maximumTimestamp: slices.map(\.maximumTimestamp).max() ?? .min,
            size: size
        )
        header.producers = entries.count
        header.isTransient = isTransient
        if isTransient { try TransientChunks.note(LogKey(log.uid, row.end), in: transaction, tables) }
        let total = header.chunkSize
        _ = try LogKey(log.uid, row.end).withBytes { key in
            try transaction.reserve(total, for: key, in: tables.log) { chunk in
                var at = ChunkLayout.headerSize
                for slice in slices {
                    let end = at + slice.records.count
                    UnsafeMutableRawBufferPointer(rebasing: chunk[at..<end]).copyMemory(from: slice.records)
                    at = end
                }
                for (index, entry) in entries.enumerated() {
                    entry.put(into: chunk, at: header.entries.lowerBound + index * ProducerEntry.size)
                }
                ChunkLayout.seal(chunk, header: header, uid: log.uid)
            }
        }
        row.end = header.endOffset
        row.bytes += Int64(total)
        slices.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        count = 0
        size = 0
    }

    /// Takes whole records off the front of `slice`, as many as fit.
    private static func split(_ slice: inout Slice, count: Int, bytes: Int, atLeastOne: Bool) -> Slice {
        var taken = 0
        var end = 0
        while taken < slice.count {
            let size = Int(UInt32(littleEndian: slice.records.loadUnaligned(fromByteOffset: end, as: UInt32.self)))
            guard taken < count && end + size <= bytes || taken == 0 && atLeastOne else { break }
            taken += 1
            end += size
        }
        var head = slice
        head.records = UnsafeRawBufferPointer(rebasing: slice.records[..<end])
        head.count = taken
        slice.records = UnsafeRawBufferPointer(rebasing: slice.records[end...])
        slice.count -= taken
        return head
    }
}
