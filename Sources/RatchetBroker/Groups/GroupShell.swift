import LMDB
import Logging
import Ratchet
import Synchronization

/// One consumer group: performs what its ``GroupCoordinator`` decides.
///
/// What fences is checked, and handed to the writer thread, under one lock. So the writes of a group happen in the
/// order of its decisions: an owner's last accepted commit is in the table before the next owner's assignment reads it.
final class GroupShell: Sendable {
    let name: String
    let storage: Storage
    let catalog: Catalog
    private let clock: BrokerClock
    private let limits: LogReader.Limits
    private let logger: Logger
    let state: Mutex<State>

    struct State {
        var coordinator: GroupCoordinator
        /// In the order of their ids.
        var members: [GroupMember] = []
        var lastID: GroupCoordinator.MemberID = 0
        /// Why nobody can join any more.
        var closed: BrokerError?

        func member(_ id: GroupCoordinator.MemberID) -> GroupMember? { members.first { $0.id == id } }
    }

    init(
        name: String,
        coordinator: GroupCoordinator,
        storage: Storage,
        catalog: Catalog,
        clock: BrokerClock,
        limits: LogReader.Limits,
        logger: Logger
    ) {
        self.name = name
        self.storage = storage
        self.catalog = catalog
        self.clock = clock
        self.limits = limits
        self.logger = logger
        state = Mutex(State(coordinator: coordinator))
    }

    // MARK: Membership

    /// A new member, which has joined.
    func join(topics: [String]) throws(BrokerError) -> GroupMember {
        let (member, actions) = try state.withLock { state throws(BrokerError) in
            if let closed = state.closed { throw closed }
            state.lastID += 1
            let member = GroupMember(
                id: state.lastID,
                topics: topics,
                clock: clock,
                limits: limits
            )
            state.members.append(member)
            return (member, join(member, &state))
        }
        logger.info("A member has joined.", metadata: LogKeys.group(name, member.id))
        log(actions)
        return member
    }

    /// Lets a member in that was evicted.
    func rejoin(_ member: GroupMember) {
        log(state.withLock { $0.closed == nil ? join(member, &$0) : [] })
    }

    private func join(_ member: GroupMember, _ state: inout State) -> [GroupCoordinator.Action] {
        var actions = handle(.join(member.id, topics: member.topics), &state)
        for topic in member.topics {
            actions += handle(.topic(topic, partitions: catalog[topic]?.logs.count ?? 0), &state)
        }
        return actions
    }

    /// The member's partitions go to the others. Idempotent.
    func leave(_ member: GroupMember) {
        member.end(nil)
        let actions = state.withLock { state -> [GroupCoordinator.Action]? in
            guard state.members.contains(where: { $0 === member }) else { return nil }
            state.members.removeAll { $0 === member }
            return handle(.leave(member.id), &state)
        }
        guard let actions else { return }
        logger.info("A member has left.", metadata: LogKeys.group(name, member.id))
        log(actions)
    }

    func release(_ partitions: [TopicPartition], of member: GroupMember) {
        member.forgetRevoked(partitions)
        log(state.withLock { handle(.release(member.id, partitions), &$0) })
    }

    /// The group as it is now.
    var description: GroupDescription {
        state.withLock { state in
            let partitions = state.coordinator.partitions
            let members = state.members.map { member in
                GroupDescription.Member(
                    id: member.id,
                    topics: member.topics,
                    partitions: partitions.filter { $0.owner == member.id }.map(\.partition)
                )
            }
            let isStable = partitions.allSatisfy(\.isSettled)
            return GroupDescription(
                name: name,
                state: members.isEmpty ? .empty : isStable ? .stable : .rebalancing,
                generation: state.coordinator.generation,
                members: members
            )
        }
    }

    /// A topic was created, altered or deleted.
    func topicChanged(_ topic: String) {
        log(state.withLock { handle(.topic(topic, partitions: catalog[topic]?.logs.count ?? 0), &$0) })
    }

    /// Members that were silent for too long and revocations beyond their deadline.
    func tick() {
        let actions = state.withLock { state in
            let now = clock.now
            for member in state.members { _ = handle(.seen(member.id, at: member.lastSeen(now: now)), &state) }
            return handle(.tick, &state)
        }
        log(actions)
    }

    /// Ends all sessions; nobody joins any more.
    func close(_ error: BrokerError) {
        let members = state.withLock { state in
            state.closed = error
            defer { state.members = [] }
            return state.members
        }
        for member in members { member.end(nil) }
    }
}

// MARK: - Decisions

extension GroupShell {
    private func handle(_ event: GroupCoordinator.Event, _ state: inout State) -> [GroupCoordinator.Action] {
        let actions = state.coordinator.handle(event, now: clock.now)
        for action in actions { perform(action, state) }
        return actions
    }

    private func perform(_ action: GroupCoordinator.Action, _ state: borrowing State) {
        switch action {
        case .persist(let generation, let partitions):
            persist(generation, partitions, state.members)
        case .revoking(let id, let partitions, let deadline):
            state.member(id)?.revoking(partitions, within: deadline)
        case .lost(let id, let partitions):
            state.member(id)?.lost(partitions)
        case .evicted(let id, let partitions):
            state.member(id)?.evicted(partitions)
        case .assigned:
            preconditionFailure("Partitions are assigned only once their generation is written.")
        }
    }

    /// Writes the generation down and reads the partitions' committed offsets, behind all commits accepted so far.
    private func persist(_ generation: Int64, _ partitions: [TopicPartition], _ members: [GroupMember]) {
        // A topic that was deleted and made anew this moment may have fewer partitions.
        let targets = partitions.compactMap { partition in
            catalog[partition.topic].flatMap {
                $0.logs.indices.contains(partition.partition) ? ($0, partition.partition) : nil
            }
        }
        let (name, tables, logger) = (name, storage.tables, logger)
        let job = WriteJob(byteCount: 0, reclaims: true) { transaction in
            try OffsetTable.write(generation: generation, of: name, in: transaction, tables)
            return try targets.map { try OffsetTable.read($0, $1, name, in: transaction, tables) }
        } done: { [self] result in
            switch result {
            case .success(let committed): assign(generation, Array(zip(targets, committed)))
            case .failure(let error):
                // The storage has failed for good, or is closed. Takes no lock of the group: a piece that is refused
                // fails here and now, under that lock.
                logger.error("No generation can be written.", metadata: LogKeys.error(error, group: name))
                for member in members { member.end(error) }
            }
        }
        storage.submit(job)
    }

    private func assign(_ generation: Int64, _ targets: [((Topic, Int), CommittedOffset?)]) {
        let actions = state.withLock { state in
            let actions = state.coordinator.handle(.persisted(generation: generation), now: clock.now)
            for case .assigned(let id, let partitions, _) in actions {
                let assignments = targets.compactMap { target -> (Assignment, PartitionLog)? in
                    let ((topic, number), committed) = target
                    let log = topic.logs[number]
                    guard partitions.contains(log.partition) else { return nil }
                    let assignment = Assignment(
                        partition: log.partition,
                        topicID: topic.id,
                        generation: generation,
                        committed: committed,
                        log: log.held
                    )
                    return (assignment, log)
                }
                state.member(id)?.assigned(assignments)
            }
            return actions
        }
        log(actions)
    }

    private func log(_ actions: [GroupCoordinator.Action]) {
        for action in actions {
            switch action {
            case .persist: break
            case .assigned(let id, let partitions, _):
                logger.info("Partitions are assigned.", metadata: LogKeys.group(name, id, partitions))
            case .revoking(let id, let partitions, _):
                logger.info("Partitions are being revoked.", metadata: LogKeys.group(name, id, partitions))
            case .lost(let id, let partitions):
                logger.warning("Partitions are lost to a member.", metadata: LogKeys.group(name, id, partitions))
            case .evicted(let id, let partitions):
                logger.warning(
                    "A member was silent for too long and is evicted.",
                    metadata: LogKeys.group(name, id, partitions)
                )
            }
        }
    }
}
