import LMDB
import Logging
public import Ratchet
import Synchronization

/// A topic as it is now.
public struct TopicDescription: Sendable, Hashable {
    /// The topic's name.
    public var name: String
    /// The topic's id, 32 hexadecimal digits: another one for a topic made anew under the same name.
    public var id: String
    /// What it was created with, or altered to.
    public var settings: TopicSettings
    /// Its partitions, by number.
    public var partitions: [Partition]

    /// A partition as it is now.
    public struct Partition: Sendable, Hashable {
        /// The topic and the number.
        public var partition: TopicPartition
        /// The offsets that the log holds: from the first one kept to the one that the next message will get.
        public var log: Range<Int64>
        /// The bytes of its chunks.
        public var bytes: Int
        /// Who leads it and who follows; nil for a broker of one node.
        public var replication: Replication?
    }

    /// A partition's nodes as they are now.
    public struct Replication: Sendable, Hashable {
        /// The node that leads, nil while none may.
        public var leader: Int?
        /// How often another node has begun to lead.
        public var epoch: Int
        /// The nodes that keep the partition, the preferred leader first.
        public var replicas: [Int]
        /// Those that have all that is visible, and keep up.
        public var inSync: [Int]
    }
}

extension Broker {
    /// Creates a topic and returns once it is durable. Does nothing when it exists with the same settings.
    ///
    /// The name: 1 to 249 letters, digits, `.`, `_` and `-`. `maximumMessageSize` is in bytes as encoded, at most 64
    /// MiB. A topic that is not durable is gone, with all that belongs to it, when the broker is opened again; a broker of
    /// several nodes has none.
    /// `replicationFactor` is at most ``Configuration/nodes``; see ``TopicSettings``. Throws ``BrokerError``:
    /// `topicExists` when it has other settings, `invalidArgument`, or `limitReached`.
    public func createTopic(
        _ name: String,
        partitions: Int = 1,
        retention: Retention = Retention(),
        maximumMessageSize: Int = 1 << 20,
        isDurable: Bool = true,
        replicationFactor: Int = 1,
        minInSyncReplicas: Int = 1,
        allowsUncleanElection: Bool = false,
        confirmsAfterWrite: Bool = true,
        cleanup: CleanupPolicy = .delete,
        deleteRetention: Duration = .seconds(24 * 3600)
    ) async throws {
        var settings = TopicSettings(
            partitions: partitions,
            retention: retention,
            maximumMessageSize: maximumMessageSize,
            cleanup: cleanup,
            deleteRetention: deleteRetention,
            isDurable: isDurable
        )
        settings.replicationFactor = replicationFactor
        settings.minInSyncReplicas = minInSyncReplicas
        settings.allowsUncleanElection = allowsUncleanElection
        settings.confirmsAfterWrite = confirmsAfterWrite
        try Name.check(name, "topic")
        try settings.check(for: name)
        guard replicationFactor <= configuration.nodes else {
            throw BrokerError(
                .invalidArgument,
                "topic '\(name)' with \(replicationFactor) replicas: the broker has \(configuration.nodes) nodes"
            )
        }
        guard isDurable || configuration.nodes == 1 else {
            throw BrokerError(
                .invalidArgument,
                "topic '\(name)' is not durable: a broker of several nodes keeps its topics"
            )
        }
        await altering.take()
        defer { altering.pass() }
        let id = Self.makeID(configuration.random)
        let (tables, limit) = (storage.tables, configuration.maximumPartitions)
        let home = cluster == nil ? storage : nil
        let created = try await storage.write(byteCount: 256 + partitions * 64) { [settings] transaction in
            try Topic.create(name, id: id, settings, limit: limit, in: transaction, tables, home: home)
        } published: { [self] topic in
            guard let topic else { return }
            cluster?.register(topic.logs)
            publish(topic, as: name)
        }
        guard let created else { return }
        try await cluster?.begin(created.logs)
        configuration.logger.info("A topic was created.", metadata: LogKeys.topic(name))
    }

    /// Deletes a topic with its messages and all groups' offsets in it. Members lose its partitions at once.
    ///
    /// When this returns the topic is gone for good and its space free; after a crash in between it is gone as well,
    /// and its space is freed at the next opening. Throws ``BrokerError`` with `unknownTopic`.
    public func deleteTopic(_ name: String) async throws {
        try await remove(name)
        try await Garbage.removeAll(storage)
    }

    /// The topic is gone, and its chunks are garbage.
    private func remove(_ name: String) async throws {
        await altering.take()
        defer { altering.pass() }
        let tables = storage.tables
        let topic = try existing(name)
        try await storage.write(reclaims: true) { transaction in
            try topic.delete(in: transaction, tables)
        } published: { [self] in
            publish(nil, as: name)
        }
        for producer in producers.producers { producer.forget(topic.logs.map(\.uid)) }
        try await cluster?.remove(topic)
        configuration.logger.info("A topic was deleted.", metadata: LogKeys.topic(name))
    }

    /// The names of all topics, sorted.
    public func topics() -> [String] { catalog.all.map(\.name) }

    /// A topic with its partitions as they are now; the log of one that no node leads as it was known last, after an
    /// opening empty. Throws ``BrokerError`` with `unknownTopic`.
    public func describe(_ name: String) throws -> TopicDescription {
        let topic = try existing(name)
        return TopicDescription(
            name: name,
            id: topic.id,
            settings: topic.row.settings,
            partitions: topic.logs.map { log in
                .init(
                    partition: log.partition,
                    log: log.range,
                    bytes: log.bytes,
                    replication: cluster?.describe(log)
                )
            }
        )
    }

    /// The offset that each partition's next message will get: what a pipeline has to settle through to have everything
    /// sent so far. Throws ``BrokerError``: `unknownTopic`, and `leaderNotAvailable` while no node leads one of them.
    public func logEnds(of topic: String) throws -> [TopicPartition: Int64] {
        try existing(topic).logs.reduce(into: [:]) { $0[$1.partition] = try $1.heldByLeader().upperBound }
    }

    /// What a group has committed, in the partitions of the topics that exist.
    public func offsets(group: String) throws -> [TopicPartition: CommittedOffset] {
        try Name.check(group, "group")
        let (tables, topics) = (storage.tables, catalog.all)
        return try storage.read { transaction in
            var offsets: [TopicPartition: CommittedOffset] = [:]
            for topic in topics {
                for log in topic.logs {
                    let number = log.partition.partition
                    offsets[log.partition] = try OffsetTable.read(topic, number, group, in: transaction, tables)
                }
            }
            return offsets
        }
    }

    /// Moves a group's position, as an operator does: the metadata beside it is cleared, so that a pipeline sees that
    /// it was not its own doing. Durable when this returns. Throws ``BrokerError``: `groupIsActive` while a member owns
    /// the partition, `invalidArgument` for an offset outside of the log, `unknownTopic`.
    public func resetOffset(group: String, partition: TopicPartition, to offset: Int64) async throws {
        try await self.group(group).reset([(partition, offset)])
    }

    /// Shows a topic, or that there is none any more. On the writer thread, in the order of the writes: else a topic
    /// that is made anew at once could hide from the groups that the one before it is gone.
    func publish(_ topic: Topic?, as name: String) {
        catalog[name] = topic
        for group in activeGroups { group.topicChanged(name) }
        queues.topicChanged(name, to: topic)
    }

    func existing(_ name: String) throws(BrokerError) -> Topic {
        guard let topic = catalog[name] else { throw BrokerError(.unknownTopic, "no topic '\(name)'") }
        return topic
    }
}
