import Ratchet

/// How far a partition's log is compacted. Kept in memory: after a restart the first compaction goes over all of it.
struct CompactionState: Sendable {
    /// Before it no record has an older one of its key.
    private(set) var cleanEnd: Int64 = 0
    private var cleanBytes = 0
    private var seenEnd: Int64 = 0
    /// The earliest timestamp of the tombstones that have stayed.
    private var oldestTombstone: Int64?

    /// A pass has gone over everything before `end`, of a log that reached to `seenEnd`; `bytes` are left.
    mutating func finish(pass end: Int64, bytes: Int, seenEnd: Int64, oldestTombstone: Int64?) {
        guard end >= cleanEnd else { return }
        cleanEnd = end
        cleanBytes = bytes
        self.seenEnd = seenEnd
        self.oldestTombstone = oldestTombstone
    }

    /// Whether a pass is worth its while: half of the log is new since the last one, or a tombstone may go.
    func isDue(bytes: Int, end: Int64, tombstonesBefore: Int64) -> Bool {
        if let oldestTombstone, oldestTombstone < tombstonesBefore { return true }
        return end > seenEnd && (bytes - cleanBytes) * 2 >= bytes
    }
}
