import LMDB
import Ratchet

extension Broker {
    /// A topic as a queue: a group of competing consumers, each of which gets messages of their own. Nothing happens
    /// before a consumer is opened.
    ///
    /// All partitions of the topic are one queue. A group that is new begins at the log's start. The log keeps what is
    /// settled, for other groups, until retention removes it; retention also removes what is not settled, so a topic
    /// that is a queue wants ``Retention/unlimited`` or a long one.
    public func queue(_ topic: String, as group: String, settings: QueueSettings = QueueSettings()) -> BrokerQueue {
        BrokerQueue(topic: topic, group: group, settings: settings, broker: self)
    }

    func consumer(
        of name: String,
        as group: String,
        _ settings: QueueSettings,
        prefetch: Int,
        autoAck: Bool,
        told signal: Signal
    ) async throws -> SharedConsumer {
        let (shell, groupLimits) = try sharedGroup(of: name, as: group, settings)
        guard 1...QueueSettings.largestSpread ~= prefetch else {
            let bounds = "1 to \(QueueSettings.largestSpread)"
            throw BrokerError(.invalidArgument, "a prefetch of \(prefetch) for \(shell.place): \(bounds)")
        }
        let limits = LogReader.Limits(
            messages: configuration.maximumFetchMessages,
            bytes: configuration.maximumFetchBytes
        )
        let newcomer = SharedGroupShell.Newcomer(
            prefetch: prefetch,
            autoAck: autoAck,
            settings: settings,
            limits: groupLimits
        )
        return try await shell.join(newcomer, reading: limits, told: signal)
    }

    private func sharedGroup(
        of name: String,
        as group: String,
        _ settings: QueueSettings
    ) throws -> (SharedGroupShell, SharedGroup.Limits) {
        try Name.check(group, "group")
        _ = try queueTopic(name, group)
        try settings.check("queue '\(name)' of group '\(group)'")
        if let destination = settings.deadLetterTopic, catalog[destination] == nil {
            throw SourceError(
                .unknownTopic,
                "queue '\(name)' of group '\(group)' has the dead-letter topic '\(destination)': create it first"
            )
        }
        let limits = SharedGroup.Limits(
            spread: settings.spread,
            deliveryLimit: settings.deliveryLimit,
            hasDeadLetterTopic: settings.deadLetterTopic != nil,
            maximumConsumers: settings.maximumConsumers,
            sessionTimeout: configuration.sessionTimeout
        )
        let shell = try queues.group(group, limit: configuration.maximumGroups) {
            try queueTopic(name, group)
        } make: { topic in
            try makeSharedGroup(group, of: topic, settings, limits)
        }
        return (shell, limits)
    }

    private func queueTopic(_ name: String, _ group: String) throws(SourceError) -> Topic {
        guard let topic = catalog[name] else {
            throw SourceError(.unknownTopic, "group '\(group)' consumes queue '\(name)': create the topic first")
        }
        return topic
    }

    private func makeSharedGroup(
        _ name: String,
        of topic: Topic,
        _ settings: QueueSettings,
        _ limits: SharedGroup.Limits
    ) throws -> SharedGroupShell {
        let tables = storage.tables
        let rows = try storage.read { transaction in
            try topic.logs.indices.map { try SharedTable.read(topic, $0, name, in: transaction, tables) }
        }
        let partitions = zip(rows, topic.logs).map { SharedPartition($0, log: $1.range) }
        return SharedGroupShell(
            name: name,
            topic: topic,
            settings: settings,
            core: SharedGroup(partitions: partitions, limits: limits),
            storage: storage,
            deadLetters: DeadLetterWriter(
                catalog: catalog,
                producers: producers,
                cluster: cluster,
                time: configuration.time
            ),
            clock: clock,
            logger: configuration.logger
        )
    }
}
