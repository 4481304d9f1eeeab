import LMDB
public import Ratchet
import Synchronization

/// A queue, a topic whose messages a group shares, as it is now.
public struct QueueDescription: Sendable, Hashable {
    /// One partition of it.
    public struct Partition: Sendable, Hashable {
        /// Which one.
        public var partition: TopicPartition
        /// All messages below this offset are done.
        public var settled: Int64
        /// The offsets that the log holds.
        public var log: Range<Int64>

        /// How many messages are not done, those in consumers' hands among them: so many at the most, as some above
        /// ``settled`` may be done as well, and offsets have holes.
        public var backlog: Int64 { max(log.upperBound - settled, 0) }
    }

    /// The topic's name.
    public var topic: String
    /// The group's name.
    public var group: String
    /// How many consumers it has.
    public var consumers: Int
    /// How many messages these have in their hands, not answered.
    public var unacked: Int
    /// By their numbers.
    public var partitions: [Partition]

    /// How many messages are not done in all partitions, at the most.
    public var backlog: Int64 { partitions.reduce(0) { $0 + $1.backlog } }
}

extension Broker {
    /// The queues on a topic, by their groups' names: those that have consumers, or ever had one. Throws ``BrokerError``:
    /// `unknownTopic`, `leaderNotAvailable` while no node leads one of the partitions, `corrupted`.
    public func queues(of topic: String) throws -> [QueueDescription] {
        let (topic, tables) = (try existing(topic), storage.tables)
        let logs = try topic.logs.map { try $0.heldByLeader() }
        let stored = try storage.read { transaction in
            try SharedTable.groups(of: topic, in: transaction, tables).map { group in
                let rows = try topic.logs.indices.map {
                    try SharedTable.read(topic, $0, group, in: transaction, tables)?.settled
                }
                return (group, rows)
            }
        }
        return stored.map { group, rows in
            let now = queues.known(group, of: topic)?.now
            return QueueDescription(
                topic: topic.name,
                group: group,
                consumers: now?.consumers ?? 0,
                unacked: now?.unacked ?? 0,
                partitions: topic.logs.indices.map { number in
                    // One that was added just now the group may not know yet.
                    let settled = now.flatMap { $0.settled.indices.contains(number) ? $0.settled[number] : nil }
                    return QueueDescription.Partition(
                        partition: topic.logs[number].partition,
                        settled: max(settled ?? rows[number] ?? 0, logs[number].lowerBound),
                        log: logs[number]
                    )
                }
            )
        }
    }
}

extension SharedGroupShell {
    /// How many consumers there are, what they have in their hands, and what is done in each partition.
    fileprivate var now: (consumers: Int, unacked: Int, settled: [Int64]) {
        state.withLock { state in
            let consumers = state.core.consumers
            return (consumers.count, consumers.reduce(0) { $0 + $1.held.count }, state.core.partitions.map(\.settled))
        }
    }
}
