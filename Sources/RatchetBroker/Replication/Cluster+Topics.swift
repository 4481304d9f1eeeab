import LMDB
import Ratchet
import Synchronization

extension Cluster {
    /// The nodes that keep a partition: its preferred leader first.
    private func replicas(of log: PartitionLog) -> [Int] {
        (0..<log.settings.replicationFactor).map { (Int(log.uid) + $0) % nodes.count }
    }

    private func keeps(_ node: Int, _ log: PartitionLog) -> Bool {
        (leadership(of: log.uid)?.replicas ?? replicas(of: log)).contains(node)
    }

    /// Takes new partitions in, which nobody leads yet: before anybody can see them, as one that is not known here is
    /// taken for deleted.
    func register(_ logs: [PartitionLog]) {
        let count = nodes.count
        state.withLock { state in
            for log in logs { state.byUID[log.uid] = ReplicatedPartition(log, nodes: count, clock: clock) }
        }
    }

    /// Gives new partitions their nodes and leaders. Where the process ends before that, the next opening does it.
    func begin(_ logs: [PartitionLog]) async throws {
        for node in nodes {
            guard let storage = node.storage else { continue }
            do {
                try await join(node, storage, logs.filter { replicas(of: $0).contains(node.number) })
            } catch let error as BrokerError where storage.hasEnded(error) {
                // It was stopped meanwhile, or its disk has failed: it takes part once it is started.
                continue
            }
        }
        for log in logs { create(log) }
        // What is decided is told once that is written.
        try await storage.write(reclaims: true) { _ in }
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

    /// The topic's settings are others now. Where the process ends before that is written, the next opening does it.
    func alter(_ topic: Topic) async throws {
        for log in topic.logs { decide(.altered(log.uid, log.settings)) }
        // What is decided is told once that is written.
        try await storage.write(reclaims: true) { _ in }
    }

    /// Removes a deleted topic's partitions from the nodes that run; the others do it once they are started.
    func remove(_ topic: Topic) async throws {
        for log in topic.logs {
            decide(.deleted(log.uid))
            let partition = state.withLock { $0.byUID.removeValue(forKey: log.uid) }
            guard let partition else { continue }
            for node in nodes { perform(partition.leave(node.number), partition) }
            retryDecided(of: log.uid)
        }
        for node in nodes {
            guard let storage = node.storage else { continue }
            do {
                try await discard(topic.logs.map(\.uid), storage)
            } catch let error as BrokerError where storage.hasEnded(error) {
                continue
            }
        }
    }

    /// The node's replicas of these partitions begin a life, with what its disk holds of them.
    func join(_ node: ReplicationNode, _ storage: Storage, _ logs: [PartitionLog]) async throws {
        let tables = storage.tables
        // Beyond the quota too: a node that is full can be opened, read and deleted from.
        let found = try await storage.write(byteCount: logs.count * 64, reclaims: true) { transaction in
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
