import LMDB
import Ratchet

extension ChunkLayout {
    /// A chunk of the partition `uid` as it is stored, of `records` at these distances from its base offset. `header`
    /// says all but how many entries there are.
    static func sealed(
        _ header: Header,
        _ records: some Collection<UInt8>,
        _ deltas: [UInt32],
        _ entries: [ProducerEntry],
        uid: UInt32
    ) -> [UInt8] {
        var header = header
        header.producers = entries.count
        var bytes = [UInt8](repeating: 0, count: header.chunkSize)
        bytes.replaceSubrange(header.records, with: records)
        bytes.withUnsafeMutableBytes { chunk in
            if header.count < header.span { put(deltas: deltas, header, into: chunk) }
            for (index, entry) in entries.enumerated() {
                entry.put(into: chunk, at: header.entries.lowerBound + index * ProducerEntry.size)
            }
            seal(chunk, header: header, uid: uid)
        }
        return bytes
    }

    /// What a verified chunk says of the offsets in `range`, which it covers, as a chunk of its own.
    ///
    /// Throws ``Damage`` where that would cut a producer's batch in two: compaction puts chunks together, and what is cut
    /// out again has the bounds of a chunk that once was.
    static func cut(
        _ range: Range<Int64>,
        of chunk: UnsafeRawBufferPointer,
        _ header: Header,
        uid: UInt32
    ) throws(Damage) -> [UInt8] {
        var (records, deltas): ([UInt8], [UInt32]) = ([], [])
        try forEachRecord(header, in: chunk) { record, bytes in
            guard range.contains(record.offset) else { return }
            deltas.append(UInt32(truncatingIfNeeded: record.offset - range.lowerBound))
            records += bytes
        }
        var kept: [ProducerEntry] = []
        for var entry in try entries(header, in: chunk) {
            let first = header.baseOffset + Int64(entry.delta)
            let batch = first..<first + Int64(entry.count)
            if batch.upperBound <= range.lowerBound || batch.lowerBound >= range.upperBound { continue }
            guard range.lowerBound <= batch.lowerBound, batch.upperBound <= range.upperBound else {
                throw Damage(description: "the batch at \(batch) of producer \(entry.producer) lies across \(range)")
            }
            entry.delta = UInt32(truncatingIfNeeded: batch.lowerBound - range.lowerBound)
            kept.append(entry)
        }
        var part = header
        part.baseOffset = range.lowerBound
        (part.count, part.size, part.span) = (deltas.count, records.count, range.count)
        return sealed(part, records, deltas, kept, uid: uid)
    }
}
