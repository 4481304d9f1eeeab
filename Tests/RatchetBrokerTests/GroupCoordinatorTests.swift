import Ratchet
import Seeds
import Testing

@testable import RatchetBroker

/// Runs a coordinator as its shell does, believes only what members are told, and checks every promise on the way.
private struct GroupModel {
    typealias MemberID = GroupCoordinator.MemberID

    static let sessionTimeout = Duration.seconds(45)
    static let revokeTimeout = Duration.seconds(60)

    var coordinator = GroupCoordinator(
        generation: 0,
        sessionTimeout: sessionTimeout,
        revokeTimeout: revokeTimeout
    )
    var now = Duration.zero
    var members: [MemberID: [String]] = [:]
    /// Who was told last that the partition is its own.
    var owners: [TopicPartition: (member: MemberID, generation: Int64)] = [:]
    var generations: [TopicPartition: Int64] = [:]
    var revoking: [TopicPartition: (member: MemberID, deadline: Duration)] = [:]
    var unwritten: [Int64] = []
    var topics: [String: Int]
    private(set) var revocations = 0

    init(topics: [String: Int]) { self.topics = topics }

    mutating func handle(_ event: GroupCoordinator.Event) {
        for action in coordinator.handle(event, now: now) { perform(action) }
    }

    private mutating func perform(_ action: GroupCoordinator.Action) {
        switch action {
        case .persist(let generation, let partitions):
            #expect(generation == coordinator.generation)
            #expect(!partitions.isEmpty)
            unwritten.append(generation)
        case .assigned(let id, let partitions, let generation):
            #expect(members[id] != nil)
            for partition in partitions {
                #expect(members[id]?.contains(partition.topic) == true)
                #expect(owners[partition] == nil, "\(partition) has two owners")
                #expect(generation > generations[partition, default: 0])
                owners[partition] = (id, generation)
                generations[partition] = generation
            }
        case .revoking(let id, let partitions, let within):
            for partition in partitions {
                #expect(owners[partition]?.member == id)
                #expect(revoking[partition] == nil)
                revoking[partition] = (id, now + within)
                revocations += 1
            }
        case .lost(let id, let partitions):
            for partition in partitions { take(partition, from: id) }
        case .evicted(let id, let partitions):
            for partition in partitions { take(partition, from: id) }
            #expect(owners.values.allSatisfy { $0.member != id })
            members[id] = nil
        }
    }

    private mutating func take(_ partition: TopicPartition, from id: MemberID) {
        #expect(owners[partition]?.member == id)
        owners[partition] = nil
        revoking[partition] = nil
    }

    mutating func join(_ id: MemberID, _ names: [String]) {
        members[id] = names
        handle(.join(id, topics: names))
        for name in names { handle(.topic(name, partitions: topics[name] ?? 0)) }
    }

    mutating func leave(_ id: MemberID) {
        members[id] = nil
        for (partition, owner) in owners where owner.member == id {
            owners[partition] = nil
            revoking[partition] = nil
        }
        handle(.leave(id))
    }

    mutating func release(_ partition: TopicPartition) {
        guard let (id, _) = revoking.removeValue(forKey: partition) else { return }
        owners[partition] = nil
        handle(.release(id, [partition]))
    }

    mutating func write() {
        guard !unwritten.isEmpty else { return }
        handle(.persisted(generation: unwritten.removeFirst()))
    }

    mutating func tick(silent: Set<MemberID> = []) {
        for id in members.keys.sorted() where !silent.contains(id) { handle(.seen(id, at: now)) }
        handle(.tick)
    }

    /// Lets everybody do what is asked of them, until nothing is asked any more.
    mutating func settle() {
        for _ in 0..<10_000 {
            if !unwritten.isEmpty {
                write()
            } else if let partition = revoking.keys.min() {
                release(partition)
            } else {
                return
            }
        }
        Issue.record("the group does not come to rest")
    }

    func checkOwnership() {
        for (name, count) in topics {
            for number in 0..<count {
                let partition = TopicPartition(name, number)
                for id in members.keys {
                    let owner = owners[partition]
                    let generation = generations[partition, default: 0]
                    #expect(coordinator.owns(id, partition, generation: generation) == (owner?.member == id))
                    #expect(!coordinator.owns(id, partition, generation: generation + 1))
                    #expect(!coordinator.owns(id, partition, generation: generation - 1))
                }
            }
        }
    }

    var loads: [MemberID: Int] {
        var loads = members.mapValues { _ in 0 }
        for owner in owners.values { loads[owner.member, default: 0] += 1 }
        return loads
    }

    /// Every partition has an owner, and no single move would level the loads.
    func checkRest() {
        for (name, count) in topics where members.values.contains(where: { $0.contains(name) }) {
            let eligible = members.filter { $0.value.contains(name) }.keys
            for number in 0..<count {
                guard let owner = owners[TopicPartition(name, number)] else {
                    Issue.record("\(name)/\(number) has no owner")
                    continue
                }
                let least = eligible.map { loads[$0, default: 0] }.min() ?? 0
                #expect(loads[owner.member, default: 0] - least <= 1)
            }
        }
    }
}

@Suite struct GroupCoordinatorTests {
    @Test("Any history: one owner at a time, rising generations, fenced commits, rest, balance", arguments: 0..<300)
    func histories(seed: Int) {
        var random = SeededRandom(state: UInt64(seed))
        let isMixed = seed % 3 == 0
        var model = GroupModel(
            topics: isMixed ? ["a": 5, "b": 3, "c": 4] : ["a": Int.random(in: 1...12, using: &random)]
        )
        var nextID: GroupCoordinator.MemberID = 0
        for _ in 0..<80 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0, 1, 2:
                guard model.members.count < 6 else { continue }
                nextID += 1
                let names = model.topics.keys.sorted().filter { _ in !isMixed || Bool.random(using: &random) }
                model.join(nextID, names)
            case 3:
                if let id = model.members.keys.sorted().randomElement(using: &random) { model.leave(id) }
            case 4, 5, 6:
                if let partition = model.revoking.keys.sorted().randomElement(using: &random) {
                    model.release(partition)
                }
            case 7, 8:
                model.write()
            case 9:
                model.now += .seconds(Int.random(in: 1...40, using: &random))
                let silent = model.members.keys.sorted().filter { _ in Int.random(in: 0..<6, using: &random) == 0 }
                model.tick(silent: Set(silent))
                let late = model.revoking.values.contains { $0.deadline <= model.now }
                #expect(!late, "a deadline has passed and the owner has not lost the partition")
            case 10:
                let name = model.topics.keys.sorted()[0]
                let before = model.topics[name, default: 0]
                model.topics[name] = 0
                model.handle(.topic(name, partitions: 0))
                #expect(!model.owners.keys.contains { $0.topic == name })
                model.topics[name] = before
                model.handle(.topic(name, partitions: before))
            default:
                // Late words of those who own nothing change nothing.
                let before = model.owners.count
                model.handle(.release(nextID + 1, [TopicPartition("a", 0)]))
                model.handle(.release(nextID, [TopicPartition("nowhere", 0)]))
                #expect(model.owners.count == before)
            }
            model.checkOwnership()
        }
        model.settle()
        model.checkOwnership()
        model.checkRest()
    }

    @Test("A member that joins takes its share and interrupts nobody else", arguments: 1...8, [1, 4, 7, 16])
    func stickyJoin(members: Int, partitions: Int) {
        var model = GroupModel(topics: ["a": partitions])
        for id in 1...members {
            model.join(GroupCoordinator.MemberID(id), ["a"])
            model.settle()
        }
        let before = model.owners
        let revocations = model.revocations
        let new = GroupCoordinator.MemberID(members + 1)
        model.join(new, ["a"])
        model.settle()
        model.checkRest()
        let share = (partitions + members) / (members + 1)
        #expect(model.revocations - revocations <= share)
        for (partition, owner) in model.owners where owner.member != new {
            #expect(before[partition]?.member == owner.member)
            #expect(before[partition]?.generation == owner.generation)
        }
    }

    @Test("A member that leaves interrupts nobody else", arguments: 2...8)
    func stickyLeave(members: Int) {
        var model = GroupModel(topics: ["a": 16])
        for id in 1...members {
            model.join(GroupCoordinator.MemberID(id), ["a"])
            model.settle()
        }
        let before = model.owners
        let revocations = model.revocations
        model.leave(1)
        model.settle()
        model.checkRest()
        #expect(model.revocations == revocations)
        for (partition, owner) in before where owner.member != 1 {
            #expect(model.owners[partition]?.generation == owner.generation)
        }
    }

    @Test("A member that was only promised a partition never hears of it when it goes elsewhere")
    func promisedOnly() {
        var model = GroupModel(topics: ["a": 2])
        model.join(1, ["a"])
        model.join(2, ["a"])
        // Nothing was written yet, so nobody was told anything, and nothing had to be revoked.
        #expect(model.owners.isEmpty && model.revoking.isEmpty)
        model.settle()
        #expect(model.loads == [1: 1, 2: 1])
        #expect(model.revocations == 0)
    }

    @Test("A partition is not assigned before it is released, and is after")
    func barrier() {
        var model = GroupModel(topics: ["a": 2])
        model.join(1, ["a"])
        model.settle()
        model.join(2, ["a"])
        model.write()
        #expect(model.loads == [1: 2, 2: 0])
        #expect(model.revoking.count == 1)
        // A revoked partition can still be committed.
        let partition = TopicPartition("a", 1)
        #expect(model.coordinator.owns(1, partition, generation: 1))
        model.settle()
        #expect(model.owners[partition]?.member == 2)
        #expect(!model.coordinator.owns(1, partition, generation: 1))
    }

    @Test("At the deadline a revoked partition goes, and its old owner is fenced for it alone")
    func deadline() {
        var model = GroupModel(topics: ["a": 2])
        model.join(1, ["a"])
        model.settle()
        model.join(2, ["a"])
        model.now += GroupModel.revokeTimeout - .seconds(1)
        model.tick()
        #expect(model.loads == [1: 2, 2: 0])
        model.now += .seconds(1)
        model.tick()
        #expect(model.revoking.isEmpty)
        model.settle()
        #expect(model.loads == [1: 1, 2: 1])
        #expect(model.coordinator.owns(1, TopicPartition("a", 0), generation: 1))
        #expect(!model.coordinator.owns(1, TopicPartition("a", 1), generation: 1))
    }

    @Test("A silent member is evicted, not a moment early, and may come back")
    func eviction() {
        var model = GroupModel(topics: ["a": 2])
        model.join(1, ["a"])
        model.join(2, ["a"])
        model.settle()
        model.now += GroupModel.sessionTimeout
        model.tick(silent: [1])
        #expect(model.members.count == 2)
        model.now += .milliseconds(1)
        model.tick(silent: [1])
        #expect(model.members.keys.sorted() == [2])
        model.settle()
        #expect(model.loads == [2: 2])
        model.join(1, ["a"])
        model.settle()
        #expect(model.loads == [1: 1, 2: 1])
    }

    @Test("When the member a partition was revoked for leaves, its owner gets it back")
    func changeOfMind() {
        var model = GroupModel(topics: ["a": 2])
        model.join(1, ["a"])
        model.settle()
        model.join(2, ["a"])
        model.leave(2)
        model.settle()
        #expect(model.loads == [1: 2])
        #expect(model.owners[TopicPartition("a", 1)]?.generation == 2)
    }
}
