import LMDB
import Logging
import Ratchet

extension Cluster {
    /// Starts all nodes, and returns once each partition shows what it showed before: all that is known to be on the
    /// in-sync replicas. A node that cannot be opened counts as down; throws when that is so of all of them.
    func open() async throws {
        try await startAll()
        decide(.opened)
        for log in partitions.map(\.log) where leadership(of: log.uid) == nil { create(log) }
        try await rounds { partitions.allSatisfy(\.isSettled) }
        // Before anybody can send, or read.
        try beginStored()
        if !redo.isAtRest { try await rounds { redo.isAtRest } }
    }

    private func startAll() async throws {
        var failure: BrokerError?
        for node in nodes {
            do { try await start(node.number) } catch let error as BrokerError {
                failure = failure ?? error
                configuration.logger.error(
                    "A node cannot be opened and counts as down.",
                    metadata: LogKeys.error(
                        error,
                        node: node.number,
                        node.path,
                        remedy: "wipe it and start it: the others have the rest; what it alone had needs a copy of its "
                            + "directory, which is put back while the others run"
                    )
                )
            }
        }
        if let failure, !nodes.contains(where: \.isRunning) { throw failure }
    }

    /// Lets the nodes write until it is so, or not so any time soon.
    private func rounds(until isSo: () -> Bool) async throws {
        for _ in 0..<Self.maximumRounds {
            // Tells what was decided, and lets the followers write what they were told.
            try await storage.write(reclaims: true) { _ in }
            try await passWriters()
            if isSo() { return }
        }
    }

    /// How long an opening waits for followers whose logs have to be cut, or have much to copy.
    private static let maximumRounds = 100

    /// Opens the node's files and takes it in. Nothing when it runs.
    func start(_ number: Int) async throws {
        let node = nodes[number]
        guard node.beginChange(from: .stopped) else { return }
        let storage: Storage
        do {
            storage = try Storage(
                at: node.path,
                settings,
                id: Broker.makeID(configuration.random),
                kind: Storage.nodeKind
            )
        } catch {
            node.ended()
            throw error
        }
        do {
            try await clean(storage, number)
            try await join(node, storage, logs(of: number))
        } catch {
            await end(node, storage, isCrash: false)
            throw error
        }
        node.started(storage, Appender(storage: storage, producers: producers, configuration, node: number, of: self))
        // Those of a topic that was made meanwhile.
        try await join(node, storage, logs(of: number).filter { partition($0.uid)?.hasMember(number) == false })
        register(number, storage)
        configuration.logger.info("A node is up.", metadata: LogKeys.node(number, storage.path))
        try await self.storage.write(reclaims: true) { _ in }
    }

    private var settings: Storage.Settings {
        var settings = Storage.Settings(configuration)
        settings.isDurable = configuration.isDurable && !storage.isTemporary
        return settings
    }

    /// The node begins a life. It has all that it ever confirmed: it writes before it confirms.
    private func register(_ number: Int, _ storage: Storage) {
        let disk = UInt64(storage.id.prefix(16), radix: 16) ?? 0
        decide(.up(number, disk: disk, isIntact: true), registering: number)
    }

    /// Ends a node: as a crash does, where all that is not written yet is lost, or once that is written. Nothing when it
    /// does not run.
    func stop(_ number: Int, isCrash: Bool) async {
        let node = nodes[number]
        guard let storage = node.storage, node.beginChange(from: .running) else { return }
        leave(number)
        await end(node, storage, isCrash: isCrash)
        configuration.logger.info("A node is down.", metadata: LogKeys.node(number, storage.path))
    }

    /// Others take over what it leads.
    private func leave(_ number: Int) {
        for partition in partitions { perform(partition.leave(number), partition) }
        decide(.down(number, life: life(of: number)))
    }

    private func end(_ node: ReplicationNode, _ storage: Storage, isCrash: Bool) async {
        if isCrash { await storage.crash() } else { await storage.close() }
        node.ended()
    }

    /// A node whose storage has failed leads nothing any more.
    func checkStorage(of number: Int) {
        let node = nodes[number]
        guard let storage = node.storage, let failure = storage.failure, failure.code != .closed, node.isRunning,
            node.noteFailure()
        else { return }
        configuration.logger.error(
            "A node's storage has failed: the node counts as down.",
            metadata: LogKeys.error(
                failure,
                node: number,
                storage.path,
                remedy: "look after its disk and open the broker in another process, or wipe the node and start it"
            )
        )
        leave(number)
    }

    /// Removes the node's files, as a lost disk: a running node is killed first.
    func wipe(_ number: Int) async throws {
        await stop(number, isCrash: true)
        guard nodes[number].beginChange(from: .stopped) else {
            throw BrokerError(.invalidArgument, "node \(number) is being started or stopped: wait for that")
        }
        Platform.removeDirectory(nodes[number].path)
        nodes[number].ended()
    }

    /// Nothing reaches a node that is cut off: others lead what it led.
    func setCutOff(_ number: Int, _ isCutOff: Bool) {
        let node = nodes[number]
        guard let storage = node.storage, node.isRunning, node.isCutOff != isCutOff else { return }
        node.setCutOff(isCutOff)
        if isCutOff {
            for partition in partitions { perform(partition.setCutOff(number, true, life: nil), partition) }
            decide(.down(number, life: life(of: number)))
        } else if storage.failure == nil {
            register(number, storage)
        }
    }

    /// Ends all nodes, once what they were handed is written, or as a crash of the process would.
    func close() async {
        redo.close(Storage.closedError(storage.path))
        for node in nodes {
            guard let storage = node.storage, node.beginChange(from: .running) else { continue }
            for partition in partitions { perform(partition.leave(node.number), partition) }
            await end(node, storage, isCrash: false)
        }
        if storage.isTemporary { for node in nodes { Platform.removeDirectory(node.path) } }
    }

    func abandon() {
        redo.close(Storage.closedError(storage.path))
        for node in nodes {
            for partition in partitions { perform(partition.leave(node.number), partition) }
            node.storage?.abandon()
        }
    }

    /// Returns once all that the nodes' writers have begun is written, or never will be.
    func passWriters() async throws {
        for storage in nodes.compactMap(\.storage) {
            do {
                try await storage.write(reclaims: true) { _ in }
            } catch let error as BrokerError where error.code == .closed {
                // It is being stopped, and may still be writing.
                await storage.untilWritten()
            } catch let error as BrokerError where error.code == .storage && storage.failure != nil {
                // It writes nothing any more.
                continue
            }
        }
    }

    /// Forgets idle producers on each node, some at a time.
    func cleanProducers(now: Int64, limit: Duration) async throws {
        for node in nodes {
            guard let storage = node.storage else { continue }
            let tables = storage.tables
            do {
                let start = node.nextExpiry
                let (rows, next) = try storage.read {
                    try SequenceTable.expired(from: start, now: now, limit: limit, in: $0, tables)
                }
                node.nextExpiry = next ?? LogKey(0, 0)
                guard !rows.isEmpty else { continue }
                try await storage.write(reclaims: true) {
                    try SequenceTable.remove(rows, now: now, limit: limit, in: $0, tables)
                }
            } catch let error as BrokerError where storage.hasEnded(error) {
                // It was stopped meanwhile, or its disk has failed.
                continue
            }
        }
    }
}
