import Logging
import Ratchet

extension Broker {
    /// Changes a topic's settings, those that are named, and returns once they are durable; members, queues'
    /// consumers and producers notice nothing else.
    ///
    /// A topic that compacts from now on may hold messages without a key: they stay. One that does so no longer may have
    /// lost what was older than the newest of its key. What a shorter retention or a compaction removes goes with the
    /// next ``run()`` turn. A partition that waits for the only replica that was in sync has a leader at once where unclean
    /// elections are allowed from now on, and what the others lack is cut off. Throws ``BrokerError``: `unknownTopic`, `invalidArgument`, and then changes nothing.
    public func alterTopic(
        _ name: String,
        retention: Retention? = nil,
        maximumMessageSize: Int? = nil,
        cleanup: CleanupPolicy? = nil,
        deleteRetention: Duration? = nil,
        confirmsAfterWrite: Bool? = nil,
        minInSyncReplicas: Int? = nil,
        allowsUncleanElection: Bool? = nil
    ) async throws {
        try await alter(name) { settings in
            settings.retention = retention ?? settings.retention
            settings.maximumMessageSize = maximumMessageSize ?? settings.maximumMessageSize
            settings.cleanup = cleanup ?? settings.cleanup
            settings.deleteRetention = deleteRetention ?? settings.deleteRetention
            settings.confirmsAfterWrite = confirmsAfterWrite ?? settings.confirmsAfterWrite
            settings.minInSyncReplicas = minInSyncReplicas ?? settings.minInSyncReplicas
            settings.allowsUncleanElection = allowsUncleanElection ?? settings.allowsUncleanElection
        }
    }

    /// Gives a topic more partitions, `count` in all, and returns once they are durable; members are assigned them at
    /// once, and queues' consumers get their messages. With several nodes they have as many replicas as the others, and
    /// leaders when this returns, unless all nodes that are to keep one are down; until then sends to them fail with
    /// `leaderNotAvailable`.
    ///
    /// From then on most keys go to another partition than before: messages of a key are in order only on either side of
    /// that moment, state that is kept by partition is elsewhere, and in a compacted topic a key's last value in its old
    /// partition stays for ever. So this throws ``BrokerError`` with `invalidArgument` unless `keysMayMove`; also for
    /// fewer partitions than there are, which cannot be taken away, and `unknownTopic` or `limitReached`.
    public func addPartitions(to name: String, count: Int, keysMayMove: Bool = false) async throws {
        try await alter(name) { settings in
            guard count > settings.partitions else {
                throw BrokerError(
                    .invalidArgument,
                    "topic '\(name)' has \(settings.partitions) partitions: \(count) in all is not more"
                )
            }
            guard keysMayMove else {
                throw BrokerError(
                    .invalidArgument,
                    "with \(count) partitions most keys of topic '\(name)' go to another one than so far: "
                        + "pass keysMayMove if nobody depends on their order, or make a new topic"
                )
            }
            settings.partitions = count
        }
    }

    private func alter(_ name: String, _ change: @escaping @Sendable (inout TopicSettings) throws -> Void) async throws
    {
        await altering.take()
        defer { altering.pass() }
        let (tables, limit, topic) = (storage.tables, configuration.maximumPartitions, try existing(name))
        let home = cluster == nil ? storage : nil
        let altered = try await storage.write(byteCount: 1 << 16, reclaims: true) { transaction in
            try topic.alter(limit: limit, in: transaction, tables, home: home, change)
        } published: { [self] altered in
            for log in altered.logs { log.alter(altered.row.settings) }
            cluster?.register(Array(altered.logs.dropFirst(topic.logs.count)))
            publish(altered, as: name)
        }
        try await cluster?.begin(Array(altered.logs.dropFirst(topic.logs.count)))
        try await cluster?.alter(altered)
        configuration.logger.info("A topic was altered.", metadata: LogKeys.topic(name))
    }
}
