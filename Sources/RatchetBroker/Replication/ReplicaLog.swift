import Ratchet
import Synchronization

/// A partition's log on one node, during one life of the node.
struct ReplicaLog: CompactableLog {
    let replicated: ReplicatedPartition
    let node: Int
    let storage: Storage

    var uid: UInt32 { replicated.log.uid }
    var partition: TopicPartition { replicated.log.partition }
    /// What all in-sync replicas have is never cut off while leaders come from among them.
    var bound: Int64 { member?.replica.highWatermark ?? 0 }
    var isReplica: Bool { true }
    var compaction: CompactionState { member?.compaction ?? CompactionState() }

    func compacted(_ state: CompactionState) {
        replicated.state.withLock { all in
            if all.members[node]?.storage === storage { all.members[node]?.compaction = state }
        }
    }

    func resized(_ row: PartitionRow) {
        replicated.state.withLock { state in
            guard state.serving?.node == node, state.members[node]?.storage === storage else { return }
            replicated.log.resize(start: row.start, bytes: row.bytes)
        }
    }

    private var member: ReplicatedPartition.Member? {
        replicated.state.withLock { $0.members[node] }.flatMap { $0.storage === storage ? $0 : nil }
    }
}

extension Cluster {
    /// The partition's logs on the nodes that run.
    func compactableLogs(of log: PartitionLog) -> [ReplicaLog] {
        guard let partition = partition(log.uid) else { return [] }
        return partition.state.withLock { $0.members }.enumerated().compactMap { node, member in
            member.map { ReplicaLog(replicated: partition, node: node, storage: $0.storage) }
        }
    }
}
