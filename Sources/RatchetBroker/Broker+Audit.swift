public import Ratchet

extension Broker {
    /// Finds where messages that go through a topic can be lost, or take effect twice: from the broker's own settings and
    /// the topic's, and from those of a producer, a queue and a pipeline where they are given, as
    /// ``ProducerSettings/audited``, ``QueueSettings/audited`` and ``/Ratchet/Pipeline/audited`` say them.
    ///
    /// ```swift
    /// print(try broker.audit(topic: "orders", producer: settings.audited, consumer: billing.audited))
    /// ```
    ///
    /// Throws ``BrokerError``: `unknownTopic`, `storage`, `closed`.
    public func audit(
        topic: String,
        producer: AuditedChain.Producer? = nil,
        queue: AuditedChain.Queue? = nil,
        consumer: AuditedChain = AuditedChain()
    ) throws -> AuditReport {
        var chain = consumer
        chain.producer = producer
        chain.queue = queue
        chain.topic = try audited(topic)
        return Audit.of(chain)
    }

    /// The topic's part of an audit. Its messages count as not persistent, too, when some of those that it holds now were
    /// sent as transient. Throws ``BrokerError``: `unknownTopic`, `storage`, `closed`.
    public func audited(_ topic: String) throws -> AuditedChain.Topic {
        let topic = try existing(topic)
        let (settings, tables) = (topic.row.settings, storage.tables)
        let holdsTransient = try storage.read { transaction in
            try topic.logs.contains { try TransientChunks.exist(in: $0.uid, transaction, tables) }
        }
        return AuditedChain.Topic(
            isDurable: .known(storage.isDurable && settings.isDurable),
            isPersistent: .known(storage.isDurable && !holdsTransient),
            confirmsAfterWrite: .known(settings.confirmsAfterWrite),
            replicationFactor: .known(settings.replicationFactor),
            minInSyncReplicas: .known(settings.minInSyncReplicas),
            allowsUncleanElection: .known(settings.allowsUncleanElection),
            retention: .known(settings.cleanup.deletes ? settings.retention.time : nil),
            sizeLimit: .known(settings.sizeLimit),
            isCompacted: .known(settings.cleanup.compacts)
        )
    }
}
