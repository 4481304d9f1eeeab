import Ratchet

/// Decides which records of a log stay when it is compacted. Pure.
///
/// A pass notes the newest record of each key in the part of the log that no pass has noted before, up to `end`, and
/// then goes over everything before `end`, from the log's start. So a record goes only where a newer one of its key is
/// there, and a tombstone only when every older record of its key has gone before it.
struct CompactionRule {
    /// A record as the rule sees it.
    struct Record {
        var offset: Int64
        var timestamp: Int64
        var key: UnsafeRawBufferPointer?
        /// Whether it deletes its key.
        var isTombstone: Bool
        /// Whether it is gone after a restart.
        var isTransient: Bool
    }

    var newest: NewestOffsets
    /// Tombstones with an earlier timestamp go, in milliseconds since 1970.
    var tombstonesBefore: Int64

    /// Notes a record of the part that is new. Those that are gone after a restart take no older one's place: it would
    /// be gone as well.
    mutating func note(_ record: Record) {
        guard let key = record.key, !record.isTransient else { return }
        newest.note(key, at: record.offset)
    }

    /// Whether a record stays. One without a key is from before the topic was compacted: it stays.
    func keeps(_ record: Record) -> Bool {
        guard record.key != nil else { return true }
        if isReplaced(record) { return false }
        // A transient tombstone may hide an older record, which must not come to light before the restart.
        return !record.isTombstone || record.isTransient || record.timestamp >= tombstonesBefore
    }

    /// Whether there is a newer record of its key.
    func isReplaced(_ record: Record) -> Bool {
        guard let key = record.key, let offset = newest[key] else { return false }
        return record.offset < offset
    }
}

extension ChunkLayout {
    /// Goes over the records of a verified chunk, in order, with the bytes of each.
    static func forEachRecord(
        _ header: Header,
        in chunk: UnsafeRawBufferPointer,
        _ body: (CompactionRule.Record, UnsafeRawBufferPointer) -> Void
    ) throws(Damage) {
        let records = UnsafeRawBufferPointer(rebasing: chunk[header.records])
        var at = 0
        for index in 0..<header.count {
            let parts: RecordLayout.Parts
            do { parts = try RecordLayout.parts(of: records, at: at) } catch {
                throw Damage(description: "record \(index): \(error.detail)")
            }
            let record = CompactionRule.Record(
                offset: offset(of: index, header, in: chunk),
                timestamp: parts.timestamp,
                key: parts.key.map { UnsafeRawBufferPointer(rebasing: records[$0]) },
                isTombstone: parts.key != nil && parts.payload.isEmpty,
                isTransient: header.isTransient
            )
            body(record, UnsafeRawBufferPointer(rebasing: records[at..<parts.end]))
            at = parts.end
        }
        guard at == records.count else {
            throw Damage(description: "\(records.count - at) bytes behind its \(header.count) records")
        }
    }
}
