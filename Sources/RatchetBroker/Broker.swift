import Logging
import Ratchet
import Synchronization

/// An in-process message broker: topics with partitions, producers, and consumer groups, durable in one directory.
///
/// What a send returned for survives a crash of the process, of the operating system and of the power, as does what a
/// commit returned for; but for topics that confirm before they write, see ``TopicSettings/confirmsAfterWrite``. One process has a directory at a time. A failed write ends the broker's use in this process:
/// every later call throws ``BrokerError/Code/storage``, and another process finds what was acknowledged.
///
/// A file that the disk or another program has changed is not believed: the opening reads its pages and all rows but the
/// messages, and messages are checked as they are read. A bit that has changed is reported then, or is one that nothing
/// depends on. What this cannot tell is an old copy of the whole file from the real one, and several bits that were
/// changed on purpose.
public final class Broker: Sendable {
    /// The broker's id, 32 hexadecimal digits, made with its directory: positions are kept by it.
    public var id: String { storage.id }

    let storage: Storage
    let catalog: Catalog
    let appender: Appender
    let producers: ProducerRegistry
    /// Nil for a broker of one node.
    let cluster: Cluster?
    let configuration: Configuration
    let clock: BrokerClock
    /// Only one topic is made, altered or deleted at a time: what one of them has begun on the nodes is done before
    /// another one begins.
    let altering = Turn()
    /// Whether ``run()`` is compacting.
    let isCompacting = Atomic<Bool>(false)
    let queues = SharedGroups()
    private let openGroups = Mutex(Groups())

    private struct Groups {
        var shells: [String: GroupShell] = [:]
        /// The shells in the order in which they were made.
        var ordered: [GroupShell] = []
        var isClosed = false
    }

    /// Opens the broker in `directory`, which is created when it is absent or empty; its parent must exist.
    ///
    /// A crash while it is created leaves nothing that cannot be opened. With several nodes one whose files cannot be opened
    /// counts as down, with an error in the log, and the others serve; this throws only when that is so of all. Throws ``BrokerError``: `notABroker` when the
    /// directory holds something else, `corrupted` when its file was changed, `inUse` when another process or another `Broker` has it open, `storage` when it
    /// cannot be read or written.
    public convenience init(at directory: String, configuration: Configuration = Configuration()) async throws {
        try await self.init(opening: directory, configuration)
    }

    /// A broker of the same code whose files are temporary and not synced: in `TMPDIR` or `/tmp`, removed when it is
    /// closed or with its last reference. A process that is killed leaves them behind.
    public static func inMemory(configuration: Configuration = Configuration()) async throws -> Broker {
        try await Broker(opening: nil, configuration)
    }

    private init(opening directory: String?, _ configuration: Configuration) async throws {
        try configuration.check()
        let storage = try Storage(at: directory, Storage.Settings(configuration), id: Self.makeID(configuration.random))
        self.storage = storage
        self.configuration = configuration
        clock = BrokerClock(configuration.clock)
        do {
            // Before anybody can read them.
            try await TransientChunks.removeAll(storage)
            catalog = try Catalog(storage, isReplicated: configuration.nodes > 1)
            try await TransientChunks.removeTopics(of: catalog, storage)
            try Cluster.check(catalog, storage, nodes: configuration.nodes)
            producers = ProducerRegistry(
                try ProducerTable.all(storage),
                try ProducerTime(storage, configuration)
            )
            cluster =
                configuration.nodes == 1
                ? nil : try Cluster(storage, catalog, producers, clock, configuration)
            appender = Appender(storage: storage, producers: producers, configuration, routing: cluster)
            try await Garbage.removeAll(storage)
        } catch {
            await storage.close()
            throw error
        }
        do {
            try await cluster?.open()
        } catch {
            await cluster?.close()
            await storage.close()
            throw error
        }
        configuration.logger.info("The broker is open.", metadata: LogKeys.path(storage.path))
    }

    /// 16 random bytes.
    static func makeID(_ random: () -> UInt64) -> [UInt8] {
        (0..<2).reduce(into: []) { bytes, _ in bytes.appendLittleEndian(random()) }
    }

    /// A consumer group's subscription to a topic. Nothing happens before it is opened.
    public func subscribe(to topic: String, as group: String) -> BrokerSubscription {
        subscribe(to: [topic], as: group)
    }

    /// A consumer group's subscription to several topics. Nothing happens before it is opened.
    public func subscribe(to topics: [String], as group: String) -> BrokerSubscription {
        BrokerSubscription(topics: topics, group: group, broker: self)
    }

    /// Ends all sessions, writes what was sent, and closes the directory. Later calls throw
    /// ``BrokerError/Code/closed``. Idempotent.
    public func close() async throws {
        let open = openGroups.withLock { groups in
            groups.isClosed = true
            return groups.ordered
        }
        let error = Storage.closedError(storage.path)
        for shell in open { shell.close(error) }
        queues.close(error)
        appender.close(error)
        for producer in producers.producers { producer.end(error) }
        await cluster?.close()
        await storage.close()
        configuration.logger.info("The broker is closed.", metadata: LogKeys.path(storage.path))
    }

    /// Ends a broker whose writer runs in turns as a crash of its process would: what is committed stays, all else is
    /// lost.
    package func abandon() {
        let open = openGroups.withLock { groups in
            groups.isClosed = true
            return groups.ordered
        }
        let error = Storage.closedError(storage.path)
        for shell in open { shell.close(error) }
        queues.close(error)
        appender.close(error)
        for producer in producers.producers { producer.end(error) }
        cluster?.abandon()
        storage.abandon()
    }
}

extension Broker {
    /// The group's shell, made at its first use.
    func group(_ name: String) throws -> GroupShell {
        try Name.check(name, "group")
        if let shell = openGroups.withLock({ $0.shells[name] }) { return shell }
        let tables = storage.tables
        let generation = try storage.read { try OffsetTable.generation(of: name, in: $0, tables) }
        return try openGroups.withLock { groups throws(BrokerError) in
            // Another task may have been faster: its shell may have given later generations already.
            if let shell = groups.shells[name] { return shell }
            guard !groups.isClosed else { throw Storage.closedError(storage.path) }
            guard groups.ordered.count < configuration.maximumGroups else {
                let limit = configuration.maximumGroups
                throw BrokerError(.limitReached, "group '\(name)' would be one more than maximumGroups, \(limit)")
            }
            let shell = makeGroup(name, generation: generation)
            groups.shells[name] = shell
            groups.ordered.append(shell)
            return shell
        }
    }

    /// All groups in use, in the order of their first use.
    var activeGroups: [GroupShell] { openGroups.withLock { $0.ordered } }

    private func makeGroup(_ name: String, generation: Int64) -> GroupShell {
        let coordinator = GroupCoordinator(
            generation: generation,
            sessionTimeout: configuration.sessionTimeout,
            revokeTimeout: configuration.revokeTimeout
        )
        let limits = LogReader.Limits(
            messages: configuration.maximumFetchMessages,
            bytes: configuration.maximumFetchBytes
        )
        return GroupShell(
            name: name,
            coordinator: coordinator,
            storage: storage,
            catalog: catalog,
            clock: clock,
            limits: limits,
            logger: configuration.logger
        )
    }
}
