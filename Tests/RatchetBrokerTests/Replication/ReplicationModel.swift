import Seeds

@testable import RatchetBroker

/// One partition on several nodes with a controller, without files or threads: messages are late, lost, repeated and
/// out of order, and nodes die, are cut off, slow or wiped. Each step is checked.
struct ReplicationModel {
    struct Setting {
        var nodes = 3
        var minimum = 2
        var allowsUnclean = false
        /// Whether a node counts what it has not written yet.
        var confirmsOnReceipt = false
        /// How many nodes may lack at a time what they once had, by a wiped disk or by a crash that lost what was not
        /// synced.
        var maximumLosses = 1
        var mistake: ReplicationMistake?

        /// What must hold then: no more losses than the in-sync replicas can bear, and no leader from outside of them.
        var keepsEverything: Bool { !allowsUnclean && maximumLosses < minimum }
    }

    struct Record: Equatable {
        var id: Int
        var epoch: Int32
        /// Where a log was trimmed before the replica had it.
        static let hole = Record(id: -1, epoch: 0)
    }

    /// A send that waits for all in-sync replicas.
    struct Waiting {
        var record: Record
        var end: Int
    }

    struct Node {
        var replica: Replica?
        /// What a crash may lose the end of: all of it, and how much is synced.
        var records: [Record] = []
        var synced = 0
        var log = Replica.LogState()
        var disk: UInt64
        var isRunning = true
        var isCutOff = false
        var isSlow = false
        /// What was begun in an earlier one is void.
        var boot = 0
        /// The writer is one thread.
        var busyUntil = 0
        var hasLost = false
        var waiting: [Waiting] = []
    }

    enum Write {
        case append(Record)
        case copy(ReplicaMessage.Records, [Record])
        case truncate(Int)
        case restart(Int)
    }

    enum Step {
        case message(ReplicaMessage, [Record], from: Int, to: Int)
        case tell(Int, life: Int, Leadership)
        case refuse(Int, Int)
        case ask(InSyncChange)
        case commit(Int, boot: Int, Write)
        case written(Int, boot: Int, Write, Replica.LogState)
        case sync(Int)
        case tick(Int)
        case heartbeat
        case send
        case fault
        case noticed(Int, life: Int)
        case boot(Int, Int)
        case reconnect(Int)
        case quicken(Int)
    }

    static let uid: UInt32 = 7
    static let lagTime = 500
    static let healing = 3000
    static let end = 6000

    let setting: Setting
    var random: SeededRandom
    var controller: Controller
    var persisted: Leadership
    var nodes: [Node]
    var now = 0
    /// What happens in each millisecond.
    var queue: [[Step]] = Array(repeating: [], count: end)
    private var taken = 0
    var lossPercent = 0
    var repeatPercent = 0
    var lastID = 0
    // What is checked.
    var leaders: [Int32: (node: Int, boot: Int)] = [:]
    /// What consumers have seen, from offset 0 on.
    var visible: [Record] = []
    var confirmed: [Int: Record] = [:]
    var lastConfirmed = 0
    var findings: [String] = []

    var isHealed: Bool { now >= Self.healing }

    init(_ seed: Seed, _ setting: Setting) {
        self.setting = setting
        random = seed.random
        persisted = Leadership(replicas: Array(0..<setting.nodes))
        nodes = (0..<setting.nodes).map { Node(disk: UInt64($0 + 1)) }
        controller = Controller(disks: Array(repeating: nil, count: setting.nodes))
        for node in nodes.indices { register(node) }
        perform(
            controller.handle(
                .created(
                    Self.uid,
                    Leadership(
                        replicas: Array(0..<setting.nodes),
                        minimum: setting.minimum,
                        allowsUnclean: setting.allowsUnclean || setting.mistake == .electsFromOutside
                    )
                )
            )
        )
    }

    /// Runs faults, then heals everything and checks what is left. Returns what was found.
    static func run(_ seed: Seed, _ setting: Setting) -> [String] {
        var model = ReplicationModel(seed, setting)
        model.schedule()
        while let step = model.next() {
            model.take(step)
            guard model.findings.isEmpty else { break }
        }
        if model.findings.isEmpty { model.checkEnd() }
        return model.findings
    }

    private mutating func schedule() {
        for node in nodes.indices { after(random.below(200), .tick(node)) }
        after(10, .heartbeat)
        after(20, .send)
        after(100, .fault)
        for node in nodes.indices {
            after(Self.healing, .boot(node, -1))
            after(Self.healing, .reconnect(node))
            after(Self.healing, .quicken(node))
        }
    }

    mutating func after(_ delay: Int, _ step: Step) {
        if now + delay < Self.end { queue[now + delay].append(step) }
    }

    private mutating func next() -> Step? {
        while taken == queue[now].count {
            queue[now] = []
            taken = 0
            now += 1
            if now == Self.end { return nil }
        }
        taken += 1
        return queue[now][taken - 1]
    }

    /// Nothing of that is going to happen.
    mutating func dropSteps(_ isDropped: (Step) -> Bool) {
        queue[now] = queue[now][taken...].filter { !isDropped($0) }
        taken = 0
        for time in now + 1..<Self.end where !queue[time].isEmpty { queue[time].removeAll(where: isDropped) }
    }

    var time: Duration { .milliseconds(now) }

    /// A delay on the way between two nodes; -1 is the controller.
    mutating func transit(_ from: Int, _ to: Int) -> Int {
        let isSlow = [from, to].contains { $0 >= 0 && nodes[$0].isSlow }
        return isSlow
            ? 50 + random.below(1200) : 1 + random.below(isHealed || !random.chance(to < 0 ? 20 : 5) ? 15 : 600)
    }

    /// Sends something that may be lost, or arrive twice.
    mutating func post(_ step: Step, from: Int, to: Int) {
        if !isHealed, random.chance(lossPercent) { return }
        after(transit(from, to), step)
        if !isHealed, random.chance(repeatPercent) { after(transit(from, to), step) }
    }

    func isReachable(_ node: Int) -> Bool { nodes[node].isRunning && !nodes[node].isCutOff }
}

/// What an implementation might do wrong, made between the cores.
enum ReplicationMistake: CaseIterable {
    /// The high watermark is what the leader has.
    case countsOnlyLeader
    case electsFromOutside
    /// Followers' last epochs are not compared.
    case ignoresEpochs
    /// An empty disk is taken for the one before it.
    case trustsWipedDisk
    /// A node that confirms before it writes was killed, and is taken to have everything.
    case trustsKilledNode
    /// A replica that has begun another life since comes into the in-sync set.
    case ignoresLives
    /// A follower tells that it has what it is about to write.
    case confirmsBeforeWriting
    /// Leaders let a single in-sync replica confirm.
    case ignoresMinimum
}
