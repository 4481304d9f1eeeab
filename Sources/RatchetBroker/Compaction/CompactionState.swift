import Ratchet

/// How far a log is compacted. Kept in memory: after a restart the first compaction goes over all of it.
struct CompactionState: Equatable, Sendable {
    /// Before it no record has an older one of its key.
    private(set) var cleanEnd: Int64 = 0
    /// How often the log had been cut off: after that nothing of this is so.
    let cuts: Int64
    private var cleanBytes = 0
    private var seenEnd: Int64 = 0
    /// The earliest timestamp of the tombstones that have stayed.
    private var oldestTombstone: Int64?

    /// Nothing is compacted yet.
    init(cuts: Int64 = 0) { self.cuts = cuts }

    /// A pass has gone over everything before `end`, of a log that reached to `seenEnd`; `bytes` are left.
    mutating func finish(pass end: Int64, bytes: Int, seenEnd: Int64, oldestTombstone: Int64?) {
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
