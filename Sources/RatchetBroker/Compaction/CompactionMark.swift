/// How far a replica's log is without what compaction has removed, here or where it was copied from.
///
/// Each replica compacts for itself, below what can be cut off as long as leaders come from the in-sync set. The mark is
/// for the rest: a log that is cut off further, and one that is far behind.
struct CompactionMark: Equatable, Sendable {
    /// What is gone has newer messages of its keys before this offset: a log that is cut off below it may lack a key's
    /// newest message, and is made anew.
    var end: Int64 = 0
    /// Tombstones before this offset may be gone: a log that ends before it may hold what they have deleted, and is made
    /// anew.
    var tombstones: Int64 = 0
    /// How often the log was cut off or made anew: a pass that began before knows another log.
    var cuts: Int64 = 0
    /// Whether the log is being made anew, and what is left of it is to go, too.
    var isVoid = false

    /// Chunks are copied from a log with that mark.
    mutating func include(_ other: CompactionMark) {
        end = max(end, other.end)
        tombstones = max(tombstones, other.tombstones)
    }

    /// The log was cut off, in part at least, by what was to remove all of it behind `target`; `isEmpty` when nothing of
    /// it is left.
    mutating func cut(to target: Int64, isEmpty: Bool) {
        cuts += 1
        isVoid = target < end && !isEmpty
        if isEmpty { (end, tombstones) = (0, 0) }
    }
}
