import Ratchet

/// What compaction makes of consecutive chunks: one chunk, which covers their offsets with the records that stay. Pure.
struct CompactedChunk {
    /// Chunks are put together up to this many offsets and entries about producers; one chunk may have more.
    private static let maximumSpan = 1 << 30
    private static let maximumEntries = 10_000

    /// A chunk that it takes the place of.
    struct Source: Equatable {
        var base: Int64
        /// The stored checksum: another one is another chunk.
        var checksum: UInt64
    }

    private(set) var sources: [Source] = []
    /// The earliest timestamp of a tombstone that stays.
    private(set) var oldestTombstone: Int64?
    /// The offset after the last tombstone that goes for its age, 0 if none does.
    private(set) var tombstonesEnd: Int64 = 0
    private var header: ChunkLayout.Header
    private var records: [UInt8] = []
    private var deltas: [UInt32] = []
    private var entries: [ProducerEntry] = []
    private var removed = 0
    private let uid: UInt32

    /// What a rule leaves of one chunk of the partition `uid`, which is verified.
    init(
        _ chunk: UnsafeRawBufferPointer,
        _ header: ChunkLayout.Header,
        uid: UInt32,
        rule: CompactionRule
    ) throws(ChunkLayout.Damage) {
        self.uid = uid
        self.header = header
        sources = [Source(base: header.baseOffset, checksum: ChunkLayout.checksum(of: chunk))]
        entries = try ChunkLayout.entries(header, in: chunk)
        records.reserveCapacity(header.size)
        try ChunkLayout.forEachRecord(header, in: chunk) { record, bytes in
            guard rule.keeps(record) else {
                if record.isTombstone, !rule.isReplaced(record) { tombstonesEnd = record.offset + 1 }
                return removed += 1
            }
            if record.isTombstone { oldestTombstone = min(oldestTombstone ?? .max, record.timestamp) }
            deltas.append(UInt32(truncatingIfNeeded: record.offset - header.baseOffset))
            records.append(contentsOf: bytes)
        }
        self.header.count = deltas.count
        self.header.size = records.count
    }

    /// The offset after the last one covered.
    var endOffset: Int64 { header.endOffset }
    /// Whether it is not what is stored.
    var isChanged: Bool { removed > 0 || sources.count > 1 }
    /// The bytes of the chunk.
    var size: Int { isChanged ? sealedHeader.chunkSize : header.chunkSize }

    /// Takes the following chunk in, unless both together would be too large, or only one of them is gone after a
    /// restart.
    mutating func take(_ next: CompactedChunk) -> Bool {
        let span = header.span + next.header.span
        guard header.isTransient == next.header.isTransient, header.endOffset == next.header.baseOffset,
            header.count + next.header.count <= ChunkLayout.maximumCount,
            header.size + next.header.size <= ChunkLayout.maximumBytes,
            span <= Self.maximumSpan, entries.count + next.entries.count <= Self.maximumEntries
        else { return false }
        let shift = UInt32(header.span)
        deltas += next.deltas.map { $0 + shift }
        entries += next.entries.map { entry in
            var entry = entry
            entry.delta += shift
            return entry
        }
        records += next.records
        sources += next.sources
        removed += next.removed
        header.count += next.header.count
        header.size += next.header.size
        header.span = span
        header.maximumTimestamp = max(header.maximumTimestamp, next.header.maximumTimestamp)
        tombstonesEnd = max(tombstonesEnd, next.tombstonesEnd)
        if let timestamp = next.oldestTombstone { oldestTombstone = min(oldestTombstone ?? .max, timestamp) }
        return true
    }

    /// The chunk as it is stored.
    func sealed() -> [UInt8] { ChunkLayout.sealed(header, records, deltas, keptEntries, uid: uid) }

    private var sealedHeader: ChunkLayout.Header {
        var header = header
        header.producers = keptEntries.count
        return header
    }

    /// Of each producer those that a partition remembers: its last ones.
    private var keptEntries: [ProducerEntry] {
        var counts: [Int64: Int] = [:]
        var kept: [ProducerEntry] = []
        for entry in entries.reversed() {
            let count = counts[entry.producer, default: 0]
            guard count < ProducerSequences.Entry.maximumBatches else { continue }
            counts[entry.producer] = count + 1
            kept.append(entry)
        }
        return kept.reversed()
    }
}
