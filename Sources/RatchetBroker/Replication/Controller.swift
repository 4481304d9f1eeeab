/// Decides who leads each partition and who is in sync with it.
///
/// What it decides is written down before anybody is told. It is never lost, as a controller quorum's decisions are not.
struct Controller: Sendable {
    /// A node as the controller knows it.
    struct Node: Equatable, Sendable {
        /// Tells a disk from the one that was there before; nil before the node's first life.
        var disk: UInt64?
        /// Which of its lives it is in: what is left of an earlier one counts for nothing.
        var life = 0
        var isUp = false
    }

    enum Event: Sendable {
        case created(UInt32, Leadership)
        case deleted(UInt32)
        /// The topic is set otherwise.
        case altered(UInt32, TopicSettings)
        /// A node has begun a life. It is intact unless it may have lost messages that it had confirmed: it was killed,
        /// and confirms before it writes.
        case up(Int, disk: UInt64, isIntact: Bool)
        case down(Int, life: Int)
        case change(UInt32, InSyncChange)
        /// All nodes have had their turn to begin a life.
        case opened
    }

    enum Action: Equatable, Sendable {
        /// Comes before all that rest on it.
        case persist(UInt32, Leadership)
        case persistNode(Int, disk: UInt64)
        /// For the node's present life only.
        case tell(Int, life: Int, UInt32, Leadership)
        case refuse(Int, UInt32, number: Int)
    }

    private(set) var nodes: [Node]
    private var partitions: [(uid: UInt32, leadership: Leadership)] = []
    /// Nodes begin their lives one after the other: until then no replica leads that may lack what the next one has.
    private var isOpening: Bool

    /// With what was persisted. No node is up. ``Event/opened`` follows where it `isOpening`.
    init(
        disks: [UInt64?],
        partitions: [(uid: UInt32, leadership: Leadership)] = [],
        isOpening: Bool = false
    ) {
        self.isOpening = isOpening
        nodes = disks.map { Node(disk: $0) }
        self.partitions = partitions.sorted { $0.uid < $1.uid }
        for index in partitions.indices {
            // Whoever led has died with the process: it must not go on under its epoch.
            self.partitions[index].leadership.leader = nil
            self.partitions[index].leadership.version += 1
        }
    }

    subscript(uid: UInt32) -> Leadership? { index(of: uid).map { partitions[$0].leadership } }

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .created(let uid, let leadership): return create(uid, leadership)
        case .deleted(let uid):
            if let index = index(of: uid) { partitions.remove(at: index) }
            return []
        case .altered(let uid, let settings): return alter(uid, settings)
        case .up(let node, let disk, let isIntact): return up(node, disk, isIntact)
        case .down(let node, let life): return nodes[node].life == life ? down(node) : []
        case .change(let uid, let change): return consider(change, of: uid)
        case .opened: return opened()
        }
    }

    private mutating func opened() -> [Action] {
        isOpening = false
        var actions: [Action] = []
        for index in partitions.indices {
            let before = partitions[index].leadership
            if before.leader == nil { elect(index) }
            // Who did not come is down, and not waited for. Where nobody leads they are as good as they were.
            let elected = partitions[index].leadership
            if elected.leader != nil {
                partitions[index].leadership.setInSync(elected.inSync.filter { nodes[$0].isUp })
            }
            actions += changed(index, before)
        }
        return actions
    }

    private mutating func elect(_ index: Int) {
        _ = partitions[index].leadership.elect(uncleanly: !isOpening) { nodes[$0].isUp }
    }

    private mutating func create(_ uid: UInt32, _ leadership: Leadership) -> [Action] {
        guard index(of: uid) == nil else { return [] }
        var leadership = leadership
        // There is nothing yet that one of them could lack.
        leadership.inSync = leadership.replicas.filter { nodes[$0].isUp }
        _ = leadership.elect { nodes[$0].isUp }
        leadership.version += 1
        // Numbers rise, so this is its place.
        partitions.append((uid, leadership))
        return decided(partitions.count - 1)
    }

    private mutating func alter(_ uid: UInt32, _ settings: TopicSettings) -> [Action] {
        guard let index = index(of: uid) else { return [] }
        let before = partitions[index].leadership
        partitions[index].leadership.setRules(settings)
        if before.leader == nil { elect(index) }
        return changed(index, before)
    }

    private mutating func up(_ node: Int, _ disk: UInt64, _ isIntact: Bool) -> [Action] {
        // A life that nobody has seen end.
        var actions = nodes[node].isUp ? down(node) : []
        let isAnother = nodes[node].disk.map { $0 != disk } ?? false
        if nodes[node].disk != disk { actions.append(.persistNode(node, disk: disk)) }
        nodes[node] = Node(disk: disk, life: nodes[node].life + 1, isUp: true)
        for index in partitions.indices where partitions[index].leadership.replicas.contains(node) {
            let before = partitions[index].leadership
            if isAnother || !isIntact { partitions[index].leadership.forget(node, withDisk: isAnother) }
            if before.leader == nil { elect(index) }
            let decided = changed(index, before)
            actions += decided.isEmpty ? [tell(node, index)] : decided
        }
        return actions
    }

    private mutating func down(_ node: Int) -> [Action] {
        guard nodes[node].isUp else { return [] }
        nodes[node].isUp = false
        var actions: [Action] = []
        for index in partitions.indices {
            let before = partitions[index].leadership
            // The last one stays: it alone has everything.
            if before.inSync.contains(node), before.inSync != [node] {
                partitions[index].leadership.setInSync(before.inSync.filter { $0 != node })
            }
            if before.leader == node { elect(index) }
            actions += changed(index, before)
        }
        return actions
    }

    private mutating func consider(_ change: InSyncChange, of uid: UInt32) -> [Action] {
        guard let index = index(of: uid) else { return [] }
        let before = partitions[index].leadership
        guard before.leader == change.leader, before.epoch == change.epoch, before.version == change.version else {
            // Decided already, or out of date: either way it does not know the latest.
            return nodes[change.leader].isUp ? [tell(change.leader, index)] : []
        }
        // One that began another life since may have lost what it had; it never comes back to this one.
        let additions = change.additions.filter { nodes[$0.node].isUp && nodes[$0.node].life == $0.life }
        let members = change.members.filter { member in
            before.inSync.contains(member) || additions.contains { $0.node == member }
        }
        guard members.contains(change.leader), members.sorted() != before.inSync.sorted() else {
            return [.refuse(change.leader, uid, number: change.number)]
        }
        partitions[index].leadership.setInSync(members)
        return changed(index, before)
    }

    /// Counts the decision, if it is one, and tells it.
    private mutating func changed(_ index: Int, _ before: Leadership) -> [Action] {
        guard partitions[index].leadership != before else { return [] }
        partitions[index].leadership.version += 1
        return decided(index)
    }

    private func decided(_ index: Int) -> [Action] {
        let (uid, leadership) = partitions[index]
        return [.persist(uid, leadership)]
            + leadership.replicas.filter { nodes[$0].isUp }.map { tell($0, index) }
    }

    private func tell(_ node: Int, _ index: Int) -> Action {
        let (uid, leadership) = partitions[index]
        return .tell(node, life: nodes[node].life, uid, leadership)
    }

    /// By bisection: there may be thousands.
    private func index(of uid: UInt32) -> Int? {
        var (low, high) = (0, partitions.count)
        while low < high {
            let middle = (low + high) / 2
            if partitions[middle].uid < uid { low = middle + 1 } else { high = middle }
        }
        return low < partitions.count && partitions[low].uid == uid ? low : nil
    }
}
