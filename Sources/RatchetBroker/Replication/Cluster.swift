import LMDB
import Logging
import Ratchet
import Synchronization

/// The nodes of a broker that replicates: who leads what, and the way from one decision to what follows from it.
final class Cluster: Sendable {
    private struct State {
        var controller: Controller
        var partitions: [UInt32: ReplicatedPartition] = [:]
    }

    let nodes: [ReplicationNode]
    let storage: Storage
    let clock: BrokerClock
    let time: TimeSource
    let configuration: Broker.Configuration
    let producers: ProducerRegistry
    private let state: Mutex<State>

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
        time = configuration.time
        nodes = (0..<configuration.nodes).map { ReplicationNode(number: $0, path: "\(storage.path)/node-\($0 + 1)") }
        let (tables, count) = (storage.tables, configuration.nodes)
        let logs = catalog.all.flatMap(\.logs)
        let (disks, known) = try storage.read { transaction in
            let disks = try (0..<count).map { try ReplicationTable.disk(of: $0, in: transaction, tables) }
            var known: [(uid: UInt32, leadership: Leadership)] = []
            for log in logs {
                guard let leadership = try ReplicationTable.leadership(of: log.uid, in: transaction, tables) else {
                    continue
                }
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
        state = Mutex(State(controller: Controller(disks: disks, partitions: known)))
        state.withLock { state in
            for log in logs { state.partitions[log.uid] = ReplicatedPartition(log, nodes: count, clock: clock) }
        }
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

    func partition(_ uid: UInt32) -> ReplicatedPartition? { state.withLock { $0.partitions[uid] } }

    /// In the order of their numbers.
    var partitions: [ReplicatedPartition] {
        // Any order: it is sorted.
        state.withLock { $0.partitions.values.sorted { $0.log.uid < $1.log.uid } }
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
                for partition in state.partitions.values { _ = partition.setCutOff(registered, false, life: life) }
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
                } done: { [self] result in
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
    }

    /// Looks for followers that lag and for what is due.
    func tick() {
        for node in nodes { node.tick(self) }
        for partition in partitions { perform(partition.tick(patience: configuration.replicationTimeout), partition) }
    }

    /// A leader has removed what was old.
    func trimmed(_ log: PartitionLog, _ row: PartitionRow, by home: Storage) {
        guard let partition = partition(log.uid), let node = nodes.first(where: { $0.storage === home }) else { return }
        perform(partition.trimmed(at: node.number, row), partition)
    }

    // MARK: Topics

    /// The nodes that keep a partition: its preferred leader first.
    private func replicas(of log: PartitionLog) -> [Int] {
        (0..<log.settings.replicationFactor).map { (Int(log.uid) + $0) % nodes.count }
    }

    private func keeps(_ node: Int, _ log: PartitionLog) -> Bool {
        (leadership(of: log.uid)?.replicas ?? replicas(of: log)).contains(node)
    }

    /// Gives a new topic's partitions their nodes and leaders.
    func add(_ topic: Topic) async throws {
        let count = nodes.count
        state.withLock { state in
            for log in topic.logs { state.partitions[log.uid] = ReplicatedPartition(log, nodes: count, clock: clock) }
        }
        for node in nodes {
            guard let storage = node.storage else { continue }
            let logs = topic.logs.filter { replicas(of: $0).contains(node.number) }
            do {
                try await join(node, storage, logs)
            } catch let error as BrokerError where error.code == .closed {
                // It was stopped meanwhile: it takes part once it is started.
                continue
            }
        }
        for log in topic.logs { create(log) }
        // What is decided is told once that is written.
        try await storage.write { _ in }
    }

    /// Decides who leads a partition that nothing was decided about.
    func create(_ log: PartitionLog) {
        let leadership = Leadership(
            replicas: replicas(of: log),
            minimum: log.settings.minInSyncReplicas,
            allowsUnclean: log.settings.allowsUncleanElection
        )
        decide(.created(log.uid, leadership))
    }

    /// Removes a deleted topic's partitions from the nodes that run; the others do it once they are started.
    func remove(_ topic: Topic) async throws {
        for log in topic.logs {
            decide(.deleted(log.uid))
            let partition = state.withLock { $0.partitions.removeValue(forKey: log.uid) }
            guard let partition else { continue }
            for node in nodes { perform(partition.leave(node.number), partition) }
        }
        for node in nodes {
            guard let storage = node.storage else { continue }
            do {
                try await discard(topic.logs.map(\.uid), storage)
            } catch let error as BrokerError where error.code == .closed {
                continue
            }
        }
    }

    /// The node's replicas of these partitions begin a life, with what its disk holds of them.
    func join(_ node: ReplicationNode, _ storage: Storage, _ logs: [PartitionLog]) async throws {
        let tables = storage.tables
        let found = try await storage.write(byteCount: logs.count * 64) { transaction in
            try logs.map { log in
                let row = try transaction.partition(log.uid, in: tables) ?? PartitionRow()
                try transaction.put(row, for: log.uid, in: tables)
                return (row, try ReplicationTable.replica(of: log.uid, in: transaction, tables))
            }
        }
        for (log, (row, known)) in zip(logs, found) {
            let replica = Replica(
                node: node.number,
                life: life(of: node.number),
                log: Replica.LogState(start: row.start, end: row.end, epochs: known.epochs),
                highWatermark: known.highWatermark,
                lagTime: configuration.replicaLagTime
            )
            partition(log.uid)?.join(node.number, replica, storage)
        }
    }

    /// Removes what a node that does not run yet holds of partitions that are not its own.
    func clean(_ storage: Storage, _ node: Int) async throws {
        let tables = storage.tables
        let kept = Set(logs(of: node).map(\.uid))
        let found = try storage.read { try $0.partitions(tables) }
        try await discard(found.filter { !kept.contains($0) }, storage)
    }

    private func discard(_ uids: [UInt32], _ storage: Storage) async throws {
        let tables = storage.tables
        try await storage.write(reclaims: true) { transaction in
            for uid in uids { try transaction.discard(uid, tables) }
        }
        try await Garbage.removeAll(storage)
    }

    func logs(of node: Int) -> [PartitionLog] { partitions.map(\.log).filter { keeps(node, $0) } }
}

extension ReadTransaction {
    /// The uids of all partitions that have a row.
    fileprivate func partitions(_ tables: Tables) throws -> [UInt32] {
        try withCursor(in: tables.partitions) { cursor in
            var found: [UInt32] = []
            var row = try cursor.first()
            while let key = row?.key, key.count == 4 {
                found.append(UInt32(bigEndian: key.loadUnaligned(as: UInt32.self)))
                row = try cursor.next()
            }
            return found
        }
    }

}

extension WriteTransaction {
    /// The partition's chunks become garbage.
    fileprivate func discard(_ uid: UInt32, _ tables: Tables) throws {
        try ReplicationTable.remove(uid, in: self, tables)
        try withUnsafeBytes(of: uid.bigEndian) { key in
            _ = try delete(key, in: tables.partitions)
            try putSealed(UnsafeRawBufferPointer(start: nil, count: 0), for: key, in: tables.garbage)
        }
    }
}
