#if Kafka
    public import Ratchet

    /// A Kafka cluster: where a pipeline's source comes from, and its sink.
    ///
    /// ```swift
    /// let kafka = Kafka("kafka-1:9092", "kafka-2:9092")
    /// let billing = Pipeline(
    ///     "billing",
    ///     from: try await kafka.subscribe(to: "orders", as: "billing"),
    ///     …
    /// ```
    public struct Kafka: Sendable {
        /// How it is reached.
        public let configuration: KafkaConfiguration

        /// A cluster with a configuration of its own. Nothing is connected yet.
        public init(_ configuration: KafkaConfiguration) { self.configuration = configuration }

        /// A cluster by some of its servers, as `host:port`, and the defaults for all else. Nothing is connected yet.
        public init(_ servers: String...) { self.init(KafkaConfiguration(servers: servers)) }

        /// A consumer group's subscription. Asks the cluster for its id unless it is configured.
        ///
        /// - Parameters:
        ///   - topics: One topic or several.
        ///   - group: The consumer group. After a group was deleted in Kafka, as it is when its last offset has expired,
        ///     its generations begin anew, and a ledger refuses them: choose another name then. The deduplication window
        ///     still knows what was done.
        ///   - instanceID: The member's name among the group's, for static membership: a member that comes back within the
        ///     session timeout has its partitions again, without a rebalance. Nil for a member without a name.
        ///
        /// Throws ``KafkaError``: `invalidArgument` for settings that are wrong, `timedOut` when no broker answers.
        public func subscribe(to topics: String..., as group: String, instanceID: String? = nil) async throws
            -> KafkaSource
        {
            try await subscribe(to: topics, as: group, instanceID: instanceID)
        }

        /// A consumer group's subscription to topics; as above.
        public func subscribe(
            to topics: [String],
            as group: String,
            instanceID: String? = nil
        ) async throws -> KafkaSource {
            try await KafkaSource(configuration, topics: topics, group: group, instanceID: instanceID)
        }

        /// The offsets that each partition of a topic holds, from the first one kept to the one that the next message will
        /// get. Throws ``/Ratchet/SourceError`` with `unknownTopic`, or ``KafkaError`` when no broker answers.
        public func logs(of topic: String) async throws -> [TopicPartition: Range<Int64>] {
            let lookup = try Lookup(configuration, group: nil)
            guard let replicas = try await lookup.replicas(of: topic) else {
                throw SourceError(.unknownTopic, "no topic '\(topic)' in the cluster")
            }
            let partitions = replicas.indices.map { TopicPartition(topic, $0) }
            return Dictionary(uniqueKeysWithValues: zip(partitions, try await lookup.logs(of: partitions)))
        }

        /// A sink that waits for all in-sync replicas. Connects with its first batch.
        ///
        /// Throws ``KafkaError`` with `invalidArgument` for settings that are wrong.
        public func sink() throws -> KafkaSink { try KafkaSink(configuration) }
    }
#endif
