import Ratchet

/// One consumer group: who its members are and which partitions each of them owns. Decides; does nothing else.
///
/// Rebalancing is cooperative and sticky: a partition that must move is revoked from its owner, which keeps all its
/// others without interruption, and is given to the next one once released, or at the deadline. A partition is never
/// owned twice.
struct GroupCoordinator: Sendable {
    /// A member's number: rises with each session, never used again.
    typealias MemberID = UInt64

    enum Event: Sendable {
        /// A session joins, subscribed to these topics; the number of their partitions is told by `.topic`.
        case join(MemberID, topics: [String])
        case leave(MemberID)
        /// A topic that members are subscribed to has this many partitions; none once it is deleted.
        case topic(String, partitions: Int)
        /// The generation that `.persist` named is on the disk.
        case persisted(generation: Int64)
        /// The member gives revoked partitions back.
        case release(MemberID, [TopicPartition])
        /// The member was last seen alive at this time.
        case seen(MemberID, at: Duration)
        /// Time has passed.
        case tick
    }

    enum Action: Sendable, Equatable {
        /// Write the generation down, then report `.persisted`: no restart may give it a second time.
        case persist(generation: Int64, [TopicPartition])
        case assigned(MemberID, [TopicPartition], generation: Int64)
        case revoking(MemberID, [TopicPartition], within: Duration)
        case lost(MemberID, [TopicPartition])
        /// The member was not heard of for too long and is none any more; these partitions are lost to it.
        case evicted(MemberID, [TopicPartition])
    }

    private enum State: Equatable {
        case unowned
        /// Promised to a member that was not told yet: may still go to another.
        case assigning(MemberID, generation: Int64)
        case owned(MemberID, generation: Int64)
        /// Still its owner's, until it releases it or the deadline comes; then the next one's, nil if there is none.
        case revoking(MemberID, generation: Int64, deadline: Duration, next: MemberID?)

        /// The member whose commits count, and the generation they must be of.
        var owner: (member: MemberID, generation: Int64)? {
            switch self {
            case .unowned, .assigning: nil
            case .owned(let member, let generation), .revoking(let member, let generation, _, _): (member, generation)
            }
        }
    }

    private struct Slot {
        let partition: TopicPartition
        var state = State.unowned
    }

    private struct Member {
        let id: MemberID
        let topics: [String]
        var seen: Duration
    }

    private let sessionTimeout: Duration
    private let revokeTimeout: Duration
    /// The generation of the last assignment: rises with each.
    private(set) var generation: Int64
    /// In the order in which they joined.
    private var members: [Member] = []
    /// Sorted by partition.
    private var slots: [Slot] = []

    /// A group without members, whose last assignment was of `generation`.
    init(generation: Int64, sessionTimeout: Duration, revokeTimeout: Duration) {
        self.generation = generation
        self.sessionTimeout = sessionTimeout
        self.revokeTimeout = revokeTimeout
    }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .join(let id, let topics):
            guard !members.contains(where: { $0.id == id }) else { return [] }
            members.append(Member(id: id, topics: topics, seen: now))
        case .leave(let id):
            remove(id)
        case .topic(let name, let count):
            resize(name, to: count, &actions)
        case .persisted(let generation):
            confirm(generation, &actions)
            return actions
        case .release(let id, let partitions):
            for partition in partitions { release(partition, of: id) }
        case .seen(let id, let time):
            guard let index = members.firstIndex(where: { $0.id == id }) else { return [] }
            members[index].seen = max(members[index].seen, time)
            return []
        case .tick:
            expire(now, &actions)
        }
        rebalance(now, &actions)
        return actions
    }

    /// The member that owns the partition, or to which it is promised; nil if nobody does.
    func holder(of partition: TopicPartition) -> MemberID? {
        guard let index = index(of: partition) else { return nil }
        if case .assigning(let member, _) = slots[index].state { return member }
        return slots[index].state.owner?.member
    }

    /// The partitions of the topics that members are subscribed to: who owns each, and whether it stays so.
    var partitions: [(partition: TopicPartition, owner: MemberID?, isSettled: Bool)] {
        slots.map { slot in
            if case .owned(let member, _) = slot.state { return (slot.partition, member, true) }
            return (slot.partition, slot.state.owner?.member, false)
        }
    }

    /// Whether the member owns the partition under this generation: only then do its commits count.
    func owns(_ id: MemberID, _ partition: TopicPartition, generation: Int64) -> Bool {
        guard let index = index(of: partition), let owner = slots[index].state.owner else { return false }
        return owner == (id, generation)
    }
}

// MARK: - Transitions

extension GroupCoordinator {
    private func index(of partition: TopicPartition) -> Int? {
        var range = slots.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if slots[middle].partition == partition { return middle }
            range = slots[middle].partition < partition ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }

    private mutating func remove(_ id: MemberID) {
        members.removeAll { $0.id == id }
        for index in slots.indices {
            switch slots[index].state {
            case .assigning(id, _), .owned(id, _), .revoking(id, _, _, _):
                slots[index].state = .unowned
            case .revoking(let owner, let generation, let deadline, id):
                slots[index].state = .revoking(owner, generation: generation, deadline: deadline, next: nil)
            case .unowned, .assigning, .owned, .revoking:
                break
            }
        }
    }

    private mutating func resize(_ topic: String, to count: Int, _ actions: inout [Action]) {
        guard members.contains(where: { $0.topics.contains(topic) }) else {
            slots.removeAll { $0.partition.topic == topic }
            return
        }
        let gone = slots.filter { $0.partition.topic == topic && $0.partition.partition >= count }
        for member in members {
            let lost = gone.filter { $0.state.owner?.member == member.id }
            if !lost.isEmpty { actions.append(.lost(member.id, lost.map(\.partition))) }
        }
        slots.removeAll { $0.partition.topic == topic && $0.partition.partition >= count }
        let known = slots.count { $0.partition.topic == topic }
        guard known < count else { return }
        slots += (known..<count).map { Slot(partition: TopicPartition(topic, $0)) }
        slots.sort { $0.partition < $1.partition }
    }

    private mutating func confirm(_ generation: Int64, _ actions: inout [Action]) {
        for member in members {
            var given: [TopicPartition] = []
            for index in slots.indices where slots[index].state == .assigning(member.id, generation: generation) {
                slots[index].state = .owned(member.id, generation: generation)
                given.append(slots[index].partition)
            }
            if !given.isEmpty { actions.append(.assigned(member.id, given, generation: generation)) }
        }
    }

    private mutating func release(_ partition: TopicPartition, of id: MemberID) {
        guard let index = index(of: partition), case .revoking(id, _, _, let next) = slots[index].state else { return }
        hand(index, to: next)
    }

    /// Leaves the partition to the next one. It has no generation yet: `rebalance` gives it, or chooses another member.
    private mutating func hand(_ index: Int, to next: MemberID?) {
        slots[index].state = next.map { .assigning($0, generation: 0) } ?? .unowned
    }

    private mutating func expire(_ now: Duration, _ actions: inout [Action]) {
        for member in members where now - member.seen > sessionTimeout {
            let lost = slots.filter { $0.state.owner?.member == member.id }.map(\.partition)
            remove(member.id)
            actions.append(.evicted(member.id, lost))
        }
        for member in members {
            var lost: [TopicPartition] = []
            for index in slots.indices {
                guard case .revoking(member.id, _, let deadline, let next) = slots[index].state, deadline <= now else {
                    continue
                }
                lost.append(slots[index].partition)
                hand(index, to: next)
            }
            if !lost.isEmpty { actions.append(.lost(member.id, lost)) }
        }
    }
}

// MARK: - Rebalancing

extension GroupCoordinator {
    /// Where each partition should go: what is planned stays planned, so that a round that was begun is not begun anew.
    private func plan() -> [MemberID?] {
        var topics: [String] = []
        var seats: [StickyAssignment.Seat] = []
        for slot in slots {
            if topics.last != slot.partition.topic { topics.append(slot.partition.topic) }
            let (member, isHeld): (MemberID?, Bool) =
                switch slot.state {
                case .unowned: (nil, false)
                case .assigning(let member, _): (member, false)
                case .owned(let member, _): (member, true)
                case .revoking(_, _, _, let next): (next, false)
                }
            let number = member.flatMap { id in members.firstIndex { $0.id == id } }
            seats.append(.init(topic: topics.count - 1, member: number, isHeld: isHeld))
        }
        let eligible = topics.map { topic in members.indices.filter { members[$0].topics.contains(topic) } }
        StickyAssignment.balance(&seats, eligible: eligible, members: members.count)
        return seats.map { $0.member.map { members[$0].id } }
    }

    private mutating func rebalance(_ now: Duration, _ actions: inout [Action]) {
        var promised: [TopicPartition] = []
        var revoked: [(owner: MemberID, partition: TopicPartition)] = []
        for (index, next) in plan().enumerated() {
            let partition = slots[index].partition
            switch (slots[index].state, next) {
            case (.owned(let owner, let generation), let next) where owner != next:
                slots[index].state = .revoking(
                    owner,
                    generation: generation,
                    deadline: now + revokeTimeout,
                    next: next
                )
                revoked.append((owner, partition))
            case (.revoking(let owner, let generation, let deadline, _), let next):
                slots[index].state = .revoking(owner, generation: generation, deadline: deadline, next: next)
            case (.assigning(let member, let assigned), let next?) where member == next && assigned > 0:
                break
            case (.unowned, let next?), (.assigning, let next?):
                slots[index].state = .assigning(next, generation: generation + 1)
                promised.append(partition)
            case (.assigning, nil):
                slots[index].state = .unowned
            case (.unowned, nil), (.owned, _):
                break
            }
        }
        if !promised.isEmpty {
            generation += 1
            actions.append(.persist(generation: generation, promised))
        }
        for member in members {
            let partitions = revoked.filter { $0.owner == member.id }.map(\.partition)
            if !partitions.isEmpty { actions.append(.revoking(member.id, partitions, within: revokeTimeout)) }
        }
    }
}
