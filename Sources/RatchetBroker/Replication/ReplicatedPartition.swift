import DequeModule
import LMDB
import Ratchet
import Synchronization

/// A partition's replicas on all nodes of this process, and who waits for them.
///
/// What the replicas tell each other is delivered at once, under one lock; what they write is done by the nodes' writer
/// threads outside of it.
final class ReplicatedPartition: Sendable {
    /// A running node's part.
    struct Member {
        var replica: Replica
        let storage: Storage
        var isCutOff = false
        var compaction = CompactionState()
    }

    /// What is to be done outside of the lock.
    struct Effects {
        var questions: [InSyncChange] = []
        var tasks: [(node: Int, task: FollowerTask)] = []
        var settled: [(done: @Sendable (BrokerError?) -> Void, error: BrokerError?)] = []
        /// What was refused may be taken now.
        var mayAppend = false
    }

    /// A send that is written on the leader and waits for the others.
    struct Waiting {
        let end: Int64
        /// Since when.
        let start: Duration
        let done: @Sendable (BrokerError?) -> Void
    }

    /// The leader that clients see.
    struct Serving: Equatable {
        var node: Int
        var epoch: Int32
    }

    struct State {
        var members: [Member?]
        var serving: Serving?
        /// By rising ends.
        var waiting = Deque<Waiting>()
    }

    let log: PartitionLog
    let clock: BrokerClock
    let state: Mutex<State>

    init(_ log: PartitionLog, nodes: Int, clock: BrokerClock) {
        self.log = log
        self.clock = clock
        state = Mutex(State(members: Array(repeating: nil, count: nodes)))
    }

    /// The node that leads it, nil while none does.
    var leader: Int? { state.withLock { $0.serving?.node } }

    // MARK: Nodes

    /// A node's replica begins a life, unless it has. One that came as the node was being stopped is of no use any more.
    func join(_ node: Int, _ replica: Replica, _ storage: Storage) {
        state.withLock { state in
            if state.members[node]?.storage !== storage {
                state.members[node] = Member(replica: replica, storage: storage)
            }
        }
    }

    func hasMember(_ node: Int) -> Bool { state.withLock { $0.members[node] != nil } }

    /// A node's replica is gone.
    func leave(_ node: Int) -> Effects {
        withEffects { state, effects in
            state.members[node] = nil
            if state.serving?.node == node { stopServing(&state, &effects) }
        }
    }

    /// Nothing reaches the node any more, or everything does again, in another life.
    func setCutOff(_ node: Int, _ isCutOff: Bool, life: Int?) -> Effects {
        withEffects { state, effects in
            state.members[node]?.isCutOff = isCutOff
            if let life { state.members[node]?.replica.life = life }
            if isCutOff, state.serving?.node == node { stopServing(&state, &effects) }
        }
    }

    // MARK: Events

    func handle(_ event: Replica.Event, at node: Int) -> Effects {
        withEffects { run(event, at: node, &$0, &$1) }
    }

    /// What the controller has decided, for one life of a node.
    func tell(_ leadership: Leadership, to node: Int, life: Int) -> Effects {
        withEffects { state, effects in
            guard state.members[node]?.replica.life == life else { return }
            run(.told(leadership), at: node, &state, &effects)
            guard state.serving?.node == node, let leadership = state.members[node]?.replica.leadership else { return }
            if leadership.isSufficient {
                effects.mayAppend = true
                return
            }
            // They would wait until somebody comes back. Who tries again is refused, and knows where it stands.
            settleAll(unknown("too few replicas were left in sync before all had it"), &state, &effects)
        }
    }

    /// Looks for followers that lag, and for sends that have waited for too long.
    func tick(patience: Duration) -> Effects {
        withEffects { state, effects in
            for node in state.members.indices { run(.tick, at: node, &state, &effects) }
            let now = clock.now
            while let first = state.waiting.first, now - first.start > patience {
                state.waiting.removeFirst()
                effects.settled.append((first.done, unknown("not all in-sync replicas had it in \(patience)")))
            }
        }
    }

    func withEffects(_ body: (inout State, inout Effects) -> Void) -> Effects {
        state.withLock { state in
            var effects = Effects()
            body(&state, &effects)
            return effects
        }
    }

    /// Handles an event and all messages that come of it.
    func run(_ event: Replica.Event, at node: Int, _ state: inout State, _ effects: inout Effects) {
        let now = clock.now
        var queue: Deque<(node: Int, event: Replica.Event)> = [(node, event)]
        while let (node, event) = queue.popFirst() {
            guard let actions = state.members[node]?.replica.handle(event, now: now) else { continue }
            for action in actions {
                switch action {
                case .send(let message, let other):
                    guard state.members[node]?.isCutOff == false, state.members[other]?.isCutOff == false else { break }
                    queue.append((other, .received(message, from: node)))
                case .leads:
                    perform(action, of: node, &state, &effects)
                    // Who was told before the leader was has asked in vain, and would ask again only at the next tick.
                    for other in state.members.indices where other != node { queue.append((other, .tick)) }
                default: perform(action, of: node, &state, &effects)
                }
            }
        }
    }

    private func perform(_ action: Replica.Action, of node: Int, _ state: inout State, _ effects: inout Effects) {
        switch action {
        case .send: break
        case .ask(let change): if state.members[node]?.isCutOff == false { effects.questions.append(change) }
        case .truncate(let end): effects.tasks.append((node, FollowerTask(self, .truncate(to: end))))
        case .restart(let start): effects.tasks.append((node, FollowerTask(self, .restart(at: start))))
        case .copy(let records):
            let leader = state.members[node]?.replica.leadership.leader ?? node
            let source = state.members[leader]?.storage
            effects.tasks.append((node, FollowerTask(self, .copy(records, from: source))))
        case .leads(let epoch): serve(Serving(node: node, epoch: epoch), &state, &effects)
        case .follows: if state.serving?.node == node { stopServing(&state, &effects) }
        case .advanced(let end):
            guard state.serving?.node == node else { break }
            log.advance(to: end)
            while let first = state.waiting.first, first.end <= end {
                state.waiting.removeFirst()
                effects.settled.append((first.done, nil))
            }
        }
    }

    private func serve(_ serving: Serving, _ state: inout State, _ effects: inout Effects) {
        guard let member = state.members[serving.node], !member.isCutOff else { return }
        if state.serving != nil { stopServing(&state, &effects) }
        state.serving = serving
        effects.mayAppend = true
        let replica = member.replica
        log.lead(from: member.storage, replica.log.start..<replica.log.end, visible: replica.highWatermark)
    }

    private func stopServing(_ state: inout State, _ effects: inout Effects) {
        state.serving = nil
        log.move(to: nil)
        settleAll(unknown("its leader is gone before all in-sync replicas had it"), &state, &effects)
    }

    private func settleAll(_ error: BrokerError, _ state: inout State, _ effects: inout Effects) {
        effects.settled += state.waiting.map { ($0.done, error) }
        state.waiting = []
    }

    func unknown(_ why: String) -> BrokerError {
        BrokerError(.timedOut, "\(log.partition): \(why): it is not known whether it stays; send it again")
    }
}
