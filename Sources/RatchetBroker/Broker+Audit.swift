public import Ratchet

extension Broker {
    /// Finds where messages that go through a topic can be lost, or take effect twice: from the broker's own settings and
    /// the topic's, and from those of a producer and a pipeline where they are given, as ``ProducerSettings/audited`` and
    /// ``/Ratchet/Pipeline/audited`` say them.
    ///
    /// ```swift
    /// print(try broker.audit(topic: "orders", producer: settings.audited, consumer: billing.audited))
    /// ```
    ///
    /// Throws ``BrokerError`` with `unknownTopic`.
    public func audit(
        topic: String,
        producer: AuditedChain.Producer? = nil,
        consumer: AuditedChain = AuditedChain()
    ) throws -> AuditReport {
        var chain = consumer
        chain.producer = producer
        chain.topic = try audited(topic)
        return Audit.of(chain)
    }

    /// The topic's part of an audit. Throws ``BrokerError`` with `unknownTopic`.
    public func audited(_ topic: String) throws -> AuditedChain.Topic {
        let settings = try existing(topic).row.settings
        return AuditedChain.Topic(
            isDurable: .known(storage.isDurable && settings.isDurable),
            isPersistent: .known(storage.isDurable),
            confirmsAfterWrite: .known(settings.confirmsAfterWrite),
            replicationFactor: .known(settings.replicationFactor),
            minInSyncReplicas: .known(settings.minInSyncReplicas),
            allowsUncleanElection: .known(settings.allowsUncleanElection),
            retention: .known(settings.cleanup.deletes ? settings.retention.time : nil)
        )
    }
}
