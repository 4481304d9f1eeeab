import LMDB
import Logging
import Ratchet
import Synchronization

/// The nodes of a broker that replicates: who leads what, and the way from one decision to what follows from it.
final class Cluster: Sendable {
    struct State {
        var controller: Controller
        var byUID: [UInt32: ReplicatedPartition] = [:]
    }

    let nodes: [ReplicationNode]
    let storage: Storage
    let clock: BrokerClock
    let time: TimeSource
    let configuration: Broker.Configuration
    let producers: ProducerRegistry
    let metrics: BrokerMetrics
    /// What is decided and not yet in all logs.
    let redo: RedoLog
    let state: Mutex<State>

    /// With what was decided before. No node runs yet.
    init(
        _ storage: Storage,
        _ catalog: Catalog,
        _ producers: ProducerRegistry,
        _ clock: BrokerClock,
        _ configuration: Broker.Configuration
    ) throws {
        self.storage = storage
        self.clock = clock
        self.configuration = configuration
        self.producers = producers
        metrics = BrokerMetrics(configuration.metrics)
        redo = RedoLog(maximumBytes: configuration.maximumPendingBytes)
        time = configuration.time
        nodes = (0..<configuration.nodes).map { ReplicationNode(number: $0, path: "\(storage.path)/node-\($0 + 1)") }
        let (tables, count) = (storage.tables, configuration.nodes)
        let logs = catalog.all.flatMap(\.logs)
        let (disks, known) = try storage.read { transaction in
            let disks = try (0..<count).map { try ReplicationTable.disk(of: $0, in: transaction, tables) }
            var known: [(uid: UInt32, leadership: Leadership)] = []
            for log in logs {
                guard var leadership = try ReplicationTable.leadership(of: log.uid, in: transaction, tables) else {
                    continue
                }
                // They may have been altered as the process ended.
                leadership.setRules(log.settings)
                known.append((log.uid, leadership))
            }
            return (disks, known)
        }
        guard known.allSatisfy({ $0.leadership.replicas.allSatisfy { $0 < count } }) else {
            throw BrokerError(
                .invalidArgument,
                "\(count) nodes: \(storage.path) has topics on more, open it with those"
            )
        }
        state = Mutex(State(controller: Controller(disks: disks, partitions: known, isOpening: true)))
        register(logs)
    }

    /// Throws when the directory was made with one node and there are more, or the other way round.
    static func check(_ catalog: Catalog, _ storage: Storage, nodes: Int) throws {
        let tables = storage.tables
        for log in catalog.all.flatMap(\.logs) {
            let isReplicated = try storage.read {
                try ReplicationTable.leadership(of: log.uid, in: $0, tables) != nil
            }
            guard isReplicated ? nodes == 1 : nodes > 1 && log.range.upperBound > 0 else { continue }
            throw BrokerError(
                .invalidArgument,
                "\(nodes) nodes: \(storage.path) was made with \(isReplicated ? "more than one" : "one"), "
                    + "open it with as many"
            )
        }
    }

    func partition(_ uid: UInt32) -> ReplicatedPartition? { state.withLock { $0.byUID[uid] } }

    /// In the order of their numbers.
    var partitions: [ReplicatedPartition] {
        // Any order: it is sorted.
        state.withLock { $0.byUID.values.sorted { $0.log.uid < $1.log.uid } }
    }

    func leadership(of uid: UInt32) -> Leadership? { state.withLock { $0.controller[uid] } }

    /// The leader is the one that can be reached: a moment after it was decided.
    func describe(_ log: PartitionLog) -> TopicDescription.Replication? {
        leadership(of: log.uid).map {
            .init(
                leader: partition(log.uid)?.leader,
                epoch: Int($0.epoch),
                replicas: $0.replicas,
                inSync: $0.inSync
            )
        }
    }

    func life(of node: Int) -> Int { state.withLock { $0.controller.nodes[node].life } }

    // MARK: Decisions

    /// Decides, writes that down, and then tells it. `registered` is the node that begins a life by it.
    func decide(_ event: Controller.Event, registering registered: Int? = nil) {
        let tables = storage.tables
        let actions = state.withLock { state -> [Controller.Action] in
            let actions = state.controller.handle(event)
            if let registered {
                let life = state.controller.nodes[registered].life
                // Any order: each by itself, before anything is told.
                for partition in state.byUID.values { _ = partition.setCutOff(registered, false, life: life) }
            }
            let persists = actions.contains { action in
                switch action {
                case .persist, .persistNode: true
                case .tell, .refuse: false
                }
            }
            guard persists else { return actions }
            // Within the lock: what is decided first must be written first.
            storage.submit(
                WriteJob(byteCount: 0, reclaims: true) { transaction in
                    try Self.persist(actions, in: transaction, tables)
                    #if CrashPoints
                        CrashPoint.leadershipWritten.reach()
                    #endif
                } done: { [self] result in
                    #if CrashPoints
                        CrashPoint.leadershipCommitted.reach()
                    #endif
                    // A controller that cannot write down what it decides decides nothing: the broker has failed then.
                    if case .success = result { perform(actions) }
                }
            )
            return []
        }
        perform(actions)
    }

    private static func persist(
        _ actions: [Controller.Action],
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        for action in actions {
            switch action {
            case .persist(let uid, let leadership):
                // Nil once the topic is deleted.
                guard try transaction.partition(uid, in: tables) != nil else { continue }
                try ReplicationTable.write(leadership, uid, in: transaction, tables)
            case .persistNode(let node, let disk):
                try ReplicationTable.writeDisk(disk, of: node, in: transaction, tables)
            case .tell, .refuse: break
            }
        }
    }

    private func perform(_ actions: [Controller.Action]) {
        for action in actions {
            switch action {
            case .persist(let uid, let leadership):
                let leader = leadership.leader.map { "\($0)" } ?? "none"
                configuration.logger.info(
                    "A leadership is decided.",
                    metadata: LogKeys.leadership(uid, leader, leadership)
                )
            case .persistNode: break
            case .tell(let node, let life, let uid, let leadership):
                guard !nodes[node].isCutOff, let partition = partition(uid) else { continue }
                perform(partition.tell(leadership, to: node, life: life), partition)
            case .refuse(let node, let uid, let number):
                guard let partition = partition(uid) else { continue }
                perform(partition.handle(.refused(number: number), at: node), partition)
            }
        }
    }

    /// Does what has come of a partition's event.
    func perform(_ effects: ReplicatedPartition.Effects, _ partition: ReplicatedPartition) {
        for (node, task) in effects.tasks { nodes[node].add(task, self) }
        for question in effects.questions { decide(.change(partition.log.uid, question)) }
        for (done, error) in effects.settled { done(error) }
        if effects.mayAppend { retryDecided(of: partition.log.uid) }
    }

    /// Looks for nodes that have failed, for followers that lag, for what is due and for what was decided and failed.
    func tick() {
        for node in nodes {
            checkStorage(of: node.number)
            node.tick(self)
        }
        for partition in partitions { perform(partition.tick(patience: configuration.replicationTimeout), partition) }
        retryDecided()
    }

    /// A leader has removed what was old.
    func trimmed(_ log: PartitionLog, _ row: PartitionRow, by home: Storage) {
        guard let partition = partition(log.uid), let node = nodes.first(where: { $0.storage === home }) else { return }
        perform(partition.trimmed(at: node.number, row), partition)
    }
}
