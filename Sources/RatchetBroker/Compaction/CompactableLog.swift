import Ratchet

/// A partition's log as one file holds it: the broker's own, or a node's.
protocol CompactableLog: Sendable {
    var uid: UInt32 { get }
    var partition: TopicPartition { get }
    var storage: Storage { get }
    /// Nothing that reaches it, or lies behind it, is compacted: it may still be cut off.
    var bound: Int64 { get }
    /// Whether it has a ``CompactionMark``.
    var isReplica: Bool { get }
    /// How far it was compacted, since the file is open. One pass at a time reads and changes it.
    var compaction: CompactionState { get }
    func compacted(_ state: CompactionState)
    /// Chunks were replaced. On the writer thread.
    func resized(_ row: PartitionRow)
}

/// A log in the broker's own file.
struct OwnLog: CompactableLog {
    let log: PartitionLog
    let storage: Storage

    var uid: UInt32 { log.uid }
    var partition: TopicPartition { log.partition }
    var bound: Int64 { log.range.upperBound }
    var isReplica: Bool { false }
    var compaction: CompactionState { log.compaction }
    func compacted(_ state: CompactionState) { log.compacted(state) }
    func resized(_ row: PartitionRow) { log.publish(row) }
}
