#if Kafka
    public import Ratchet

    extension Kafka {
        /// Finds where messages that go through a topic can be lost, or take effect twice: from what the cluster tells of
        /// the topic, and from the settings of a producer and a pipeline where they are given, as ``audited`` and
        /// ``/Ratchet/Pipeline/audited`` say them. What this client may not read, the cluster cannot tell or was not given,
        /// could not be read: it never counts as well.
        ///
        /// ```swift
        /// print(try await kafka.audit(topic: "orders", producer: kafka.audited, consumer: billing.audited))
        /// ```
        ///
        /// Throws ``/Ratchet/SourceError`` with `unknownTopic`, or ``KafkaError`` when no broker answers.
        public func audit(
            topic: String,
            producer: AuditedChain.Producer? = nil,
            consumer: AuditedChain = AuditedChain()
        ) async throws -> AuditReport {
            var chain = consumer
            chain.producer = producer ?? .notGiven
            chain.consumer = chain.consumer ?? .notGiven
            chain.topic = try await audited(topic)
            return Audit.of(chain)
        }

        /// The topic's part of an audit. Throws as ``audit(topic:producer:consumer:)`` does.
        public func audited(_ topic: String) async throws -> AuditedChain.Topic {
            let lookup = try Lookup(configuration, group: nil)
            guard let replicas = try await lookup.replicas(of: topic) else {
                throw SourceError(.unknownTopic, "no topic '\(topic)' in the cluster")
            }
            return TopicDescription(replicas: replicas, settings: await lookup.settings(of: topic)).audited
        }

        /// What an audit finds of the producer behind ``sink()``. How others send into a topic nobody can read.
        public var audited: AuditedChain.Producer {
            AuditedChain.Producer(
                acks: .known(.all),
                isIdempotent: .known(true),
                deliveryTimeout: .known(configuration.deliveryTimeout)
            )
        }
    }
#endif
