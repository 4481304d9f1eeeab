#if Kafka
    public import Ratchet

    /// A consumer group's subscription to topics of a Kafka cluster: what a pipeline reads from.
    public struct KafkaSource: Source {
        /// The cluster's own id, or the name that ``KafkaConfiguration/cluster`` gives it.
        public let cluster: String
        /// The consumer group.
        public let group: String
        /// `kafka`.
        public var system: String { "kafka" }

        private let topics: [String]
        private let configuration: KafkaConfiguration
        private let instanceID: String?
        private let lookup: Lookup

        init(_ configuration: KafkaConfiguration, topics: [String], group: String, instanceID: String?) async throws {
            guard !topics.isEmpty, !group.isEmpty, instanceID?.isEmpty != true else {
                throw KafkaError(.invalidArgument, "a subscription has a topic, a group and, if any, an instance id")
            }
            self.configuration = configuration
            self.topics = topics
            self.group = group
            self.instanceID = instanceID
            // What cannot be set is said here, not with the first session.
            _ = try ClientSettings.member(configuration, group: group, instanceID: instanceID)
            lookup = try Lookup(configuration, group: group)
            if let name = configuration.cluster { cluster = name } else { cluster = try await lookup.clusterID() }
        }

        /// Joins the group. Throws ``/Ratchet/SourceError`` with `unknownTopic`, or ``KafkaError`` when no broker answers
        /// within ``KafkaConfiguration/timeout``.
        public func open() async throws -> any SourceSession {
            for topic in topics where try await lookup.replicas(of: topic) == nil {
                throw SourceError(.unknownTopic, "no topic '\(topic)' in the cluster: create it first")
            }
            let thread = try ConsumerThread(configuration, group: group, instanceID: instanceID, lookup)
            thread.start(topics)
            return KafkaSession(thread, time: configuration.time)
        }
    }
#endif
