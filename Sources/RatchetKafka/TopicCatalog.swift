#if Kafka
    import Ratchet
    import Synchronization

    /// Which topics there are and how many partitions they have, as far as a sink has asked: a producer of librdkafka would
    /// have a topic made by asking for it.
    final class TopicCatalog: Sendable {
        private let lookup: Lookup
        private let partitions = Mutex<[String: Int]>([:])

        init(_ lookup: Lookup) { self.lookup = lookup }

        /// The number of partitions of each topic that there is; those that are not known, or were said to be too few,
        /// are asked for. Throws ``KafkaError`` when the cluster does not answer.
        func counts(of topics: [String], atLeast: [String: Int]) async throws -> [String: Int] {
            var counts: [String: Int] = [:]
            for topic in topics {
                if let known = partitions.withLock({ $0[topic] }), known >= atLeast[topic] ?? 0 {
                    counts[topic] = known
                    continue
                }
                let found = try await lookup.replicas(of: topic)?.count
                partitions.withLock { $0[topic] = found }
                counts[topic] = found
            }
            return counts
        }

        /// The topic is not as it was.
        func forget(_ topic: String) { partitions.withLock { $0[topic] = nil } }
    }
#endif
