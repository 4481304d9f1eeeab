import Synchronization

/// A pipeline's hold on one partition for one generation.
///
/// Positions move only under a lease that is the partition's newest; a fenced lease moves nothing any more.
package final class PartitionLease: @unchecked Sendable {
    package let partition: TopicPartition
    package let generation: Int64
    /// The consumer group.
    package let group: String
    /// The pipeline's number for the partition.
    package let slot: Int
    /// Where the partition stood when the lease was taken: the member before may have settled more since it was looked
    /// up.
    package let startOffset: Int64
    /// Where the partition stands, shared by all leases of it.
    let position: PartitionPosition
    private let fenced = Atomic<Bool>(false)

    // On the writer thread only.
    var blockedLanes: Set<UInt64> = []
    var journalNumber = -1

    init(
        partition: TopicPartition,
        group: String = "",
        generation: Int64,
        slot: Int,
        startOffset: Int64 = 0,
        position: PartitionPosition
    ) {
        self.partition = partition
        self.group = group
        self.generation = generation
        self.slot = slot
        self.startOffset = startOffset
        self.position = position
    }

    /// Ends the lease: from the next transaction on it moves no position and runs no effect.
    package func fence() { fenced.store(true, ordering: .releasing) }

    /// Whether the lease has ended.
    package var isFenced: Bool { fenced.load(ordering: .acquiring) }
}

/// The ledger's position in one partition. On the writer thread only.
final class PartitionPosition: @unchecked Sendable {
    let key: [UInt8]
    var tracker: OffsetTracker
    var generation: Int64
    var isKnown: Bool
    /// False for a queue's channel: its tags mean nothing once it is gone.
    let isStored: Bool
    var isTouched = false

    init(key: [UInt8], tracker: OffsetTracker, generation: Int64, isKnown: Bool, isStored: Bool = true) {
        self.isStored = isStored
        self.key = key
        self.tracker = tracker
        self.generation = generation
        self.isKnown = isKnown
    }
}
