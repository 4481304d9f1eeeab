#if Kafka
    import Ratchet

    /// What librdkafka's statistics say of the partitions that a member reads.
    struct StatisticsReport {
        struct Partition: Hashable {
            let partition: TopicPartition
            /// The offset after the last message that may be read; nil while that is unknown.
            let end: Int64?
            /// How many messages wait in librdkafka.
            let prefetched: Int64
        }

        private struct Report: Decodable {
            struct Topic: Decodable {
                let topic: String
                let partitions: [String: Partition]
            }

            struct Partition: Decodable {
                let partition: Int
                let fetchState: String
                let end: Int64
                let prefetched: Int64

                enum CodingKeys: String, CodingKey {
                    case partition
                    case fetchState = "fetch_state"
                    case end = "ls_offset"
                    case prefetched = "fetchq_cnt"
                }
            }

            let topics: [String: Topic]
        }

        /// Sorted.
        let partitions: [Partition]

        /// Throws `DecodingError` for what is no report.
        init(_ json: UnsafeRawBufferPointer) throws {
            let report = try JSONCoding.decode(Report.self, from: json)
            var found: [Partition] = []
            // Any order: sorted below.
            for topic in report.topics.values {
                // Any order: sorted below.
                for partition in topic.partitions.values where partition.fetchState == "active" {
                    found.append(
                        Partition(
                            partition: TopicPartition(topic.topic, partition.partition),
                            end: partition.end >= 0 ? partition.end : nil,
                            prefetched: partition.prefetched
                        )
                    )
                }
            }
            partitions = found.sorted { $0.partition < $1.partition }
        }
    }
#endif
