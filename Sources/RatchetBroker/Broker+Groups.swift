import LMDB
public import Ratchet

/// A consumer group as it is now.
public struct GroupDescription: Sendable, Hashable {
    /// Where a group is.
    public enum State: String, Sendable, Hashable {
        /// It has no members; its offsets stay.
        case empty
        /// Partitions are on their way from one member to another, or to a first one.
        case rebalancing
        /// Every partition is owned.
        case stable
    }

    /// A member.
    public struct Member: Sendable, Hashable {
        /// Its number in the group, never used again until the broker is opened anew.
        public var id: UInt64
        /// What it is subscribed to.
        public var topics: [String]
        /// What it owns, also what it is about to give back.
        public var partitions: [TopicPartition]
    }

    /// The group's name.
    public var name: String
    /// Where it is.
    public var state: State
    /// The generation of the last assignment, 0 if there never was one.
    public var generation: Int64
    /// In the order in which they joined.
    public var members: [Member]
}

/// How far a group is behind in one partition.
public struct PartitionLag: Sendable, Hashable {
    /// What the group has committed, nil if it never did.
    public var committed: CommittedOffset?
    /// The offsets that the log holds.
    public var log: Range<Int64>

    /// The offsets from the committed one, or else the first one kept, to the log's end: as many messages, unless some
    /// are gone by compaction. Includes what retention has removed before the group got there; see ``lost``.
    public var lag: Int64 { max(log.upperBound - (committed?.offset ?? log.lowerBound), 0) }

    /// The offsets that retention has removed before the group got there; empty in the good case.
    public var lost: Range<Int64> {
        guard let offset = committed?.offset, offset < log.lowerBound else { return log.lowerBound..<log.lowerBound }
        return offset..<log.lowerBound
    }
}

extension Broker {
    /// All consumer groups, by name: those that have members, ever had one, or have committed offsets. Queues' groups are
    /// not among them.
    public func groups() throws -> [GroupDescription] {
        let tables = storage.tables
        var generations = try storage.read { try OffsetTable.groups(in: $0, tables) }
        var found: [GroupDescription] = []
        for shell in activeGroups {
            generations[shell.name] = nil
            found.append(shell.description)
        }
        // Any order: they are sorted below.
        for (name, generation) in generations {
            found.append(GroupDescription(name: name, state: .empty, generation: generation, members: []))
        }
        return found.sorted { $0.name < $1.name }
    }

    /// How far a group is behind, in the partitions of the topics that it has committed in or that its members are
    /// subscribed to. Throws ``BrokerError`` with `leaderNotAvailable` while no node leads one of them.
    public func lag(group: String) throws -> [TopicPartition: PartitionLag] {
        let offsets = try offsets(group: group)
        // Any order: what is looked for is whether a topic is among them.
        var topics = Set(offsets.keys.map(\.topic))
        for shell in activeGroups where shell.name == group {
            for member in shell.description.members { topics.formUnion(member.topics) }
        }
        var lags: [TopicPartition: PartitionLag] = [:]
        for topic in catalog.all where topics.contains(topic.name) {
            for log in topic.logs {
                lags[log.partition] = PartitionLag(committed: offsets[log.partition], log: try log.heldByLeader())
            }
        }
        return lags
    }
}

/// Where a group's offsets are set to.
public enum OffsetTarget: Sendable, Hashable {
    /// The first message that each log holds.
    case earliest
    /// The next message to be written.
    case latest
    /// The first message whose timestamp is not earlier, in milliseconds since 1970; the log's end if there is none.
    case timestamp(Int64)
    /// This offset, which has to be in the log, or its end.
    case offset(Int64)
}

extension Broker {
    /// Moves a group's positions in all partitions of a topic, or in those that are named, all or none, as an operator
    /// does: the metadata beside them is cleared, so that a pipeline sees that it was not its own doing. Returns where
    /// they are, durable.
    ///
    /// Throws ``BrokerError``: `groupIsActive` while a member owns one of them, `invalidArgument` for an offset outside of
    /// a log, `unknownTopic`, `leaderNotAvailable` while no node leads one of them; for a time `corrupted`.
    @discardableResult
    public func resetOffsets(
        group: String,
        topic name: String,
        partitions: [Int]? = nil,
        to target: OffsetTarget
    ) async throws -> [TopicPartition: Int64] {
        let topic = try existing(name)
        var targets: [(partition: TopicPartition, offset: Int64)] = []
        for number in partitions ?? Array(topic.logs.indices) {
            guard topic.logs.indices.contains(number) else {
                throw BrokerError(.unknownTopic, "there is no \(TopicPartition(name, number))")
            }
            let log = topic.logs[number]
            let offset =
                switch target {
                case .earliest: try log.heldByLeader().lowerBound
                case .latest: try log.heldByLeader().upperBound
                case .timestamp(let time): try TimestampSearch(log).offset(from: time)
                case .offset(let offset): offset
                }
            targets.append((log.partition, offset))
        }
        try await self.group(group).reset(targets)
        return targets.reduce(into: [:]) { $0[$1.partition] = $1.offset }
    }
}
