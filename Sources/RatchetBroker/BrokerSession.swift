public import Ratchet

/// One membership in a consumer group of a ``Broker``. Leaves the group when it is closed, or with its last reference.
public final class BrokerSession: SourceSession {
    let member: GroupMember
    let group: GroupShell
    let broker: Broker

    init(member: GroupMember, group: GroupShell, broker: Broker) {
        self.member = member
        self.group = group
        self.broker = broker
    }

    deinit { group.leave(member) }

    /// The next event; waits until there is one. Events come before messages; partitions with messages take turns.
    ///
    /// A member whose `next` neither waits nor is called for the session timeout loses its partitions; with the call
    /// after the one that says so it joins again. When retention has removed what comes next in a partition, it says so
    /// once, with ``/Ratchet/SourceEvent/outOfRange(_:)``. Throws ``/Ratchet/SourceError`` with `corrupted` when what comes
    /// next is damaged: until that partition is started elsewhere, and in turn with what the other partitions have.
    /// `CancellationError` when cancelled.
    public func next() async throws -> SourceEvent {
        try await member.next { group.rejoin(member) }
    }

    /// Begins the delivery of an assigned partition, or moves it. Throws ``/Ratchet/SourceError``: `notAssigned`,
    /// `fenced`, or `offsetOutOfRange` for an offset below 0 or beyond the log's end.
    public func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        try member.start(partition, at: offset, generation: generation)
    }

    /// Stops or resumes the delivery of one partition; of one that is not assigned, nothing.
    public func setPaused(_ paused: Bool, _ partition: TopicPartition) { member.setPaused(paused, partition) }

    /// Commits positions, all or none; they are durable when this returns. Throws ``/Ratchet/SourceError``: `fenced`
    /// when the member does not own a partition under the commit's generation, `invalidArgument` for an offset beyond
    /// the log's end or metadata of over 4,096 bytes, `unknownTopic`.
    public func commit(_ commits: [OffsetCommit]) async throws { try await group.commit(commits, of: member) }

    /// Gives revoked partitions back; the next owner is assigned them. Others are left alone.
    public func release(_ partitions: [TopicPartition]) async { group.release(partitions, of: member) }

    /// The record at `offset` of the log that is assigned, whatever topic has its name by now; nil when the log does not
    /// hold it. Waits while no node leads the partition, for ``Broker/Configuration/leaderTimeout`` at the most, and then
    /// throws ``BrokerError`` with `leaderNotAvailable`: the same call can succeed later. Throws
    /// ``/Ratchet/SourceError``: `notAssigned`, or `corrupted`.
    public func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        try await reading(partition) { fetch in
            try broker.message(at: offset, in: fetch.log, generation: fetch.generation)
        }
    }

    /// Reads the log of an assigned partition; again for up to ``Broker/Configuration/leaderTimeout`` while no node leads
    /// it.
    func reading<R>(_ partition: TopicPartition, _ body: (MemberState.Fetch) throws -> R) async throws -> R {
        let deadline = broker.clock.now + broker.configuration.leaderTimeout
        while true {
            let fetch = try member.assignment(of: partition)
            let version = fetch.log.version
            do {
                return try body(fetch)
            } catch let error as BrokerError where [.leaderNotAvailable, .notEnoughReplicas].contains(error.code) {
                let left = deadline - broker.clock.now
                guard left > .zero else { throw error }
                try await member.untilChanged(fetch.log, from: version, within: left)
            }
        }
    }

    /// Leaves the group; what is in flight can no longer be committed. Idempotent; wakes ``next()``.
    public func close() async { group.leave(member) }
}
