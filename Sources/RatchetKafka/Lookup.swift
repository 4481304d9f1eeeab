#if Kafka
    internal import CRdkafka
    import Logging
    import Ratchet

    /// Questions to a cluster, for a group: a client of its own that never joins it, on a thread of its own, as each
    /// question blocks. Each ends within its time.
    final class Lookup: Sendable {
        let client: Client
        private let reports: ClientReports
        let thread: JobThread
        let timeout: Int32

        init(_ configuration: KafkaConfiguration, group: String?) throws(KafkaError) {
            reports = ClientReports(configuration.logger)
            let client = try Client(RD_KAFKA_CONSUMER, try .lookup(configuration, group: group), reports)
            // Answers come by the one queue that polling serves.
            rd_kafka_poll_set_consumer(client.handle)
            self.client = client
            timeout = Int32(clamping: configuration.timeout.milliseconds)
            thread = JobThread(name: "kafka-lookup") {
                rd_kafka_consumer_close(client.handle)
                client.destroy()
            }
        }

        deinit { thread.finish() }

        /// Runs what blocks, for the time given at the most, on the lookup's thread.
        func blocking<R: Sendable>(_ body: @escaping @Sendable (OpaquePointer, Int32) throws -> R) async throws -> R {
            try await thread.run { [self] in try body(client.handle, timeout) }
        }

        /// The cluster's id.
        func clusterID() async throws -> String {
            try await thread.run { [self] in
                guard let id = rd_kafka_clusterid(client.handle, timeout) else {
                    throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, "the cluster's id")
                }
                defer { rd_kafka_mem_free(client.handle, id) }
                return String(cString: id)
            }
        }

        /// How many replicas each partition of a topic has; nil when there is no such topic, or not for this client. Asks
        /// for all topics: to ask for one has it made where a broker is that way inclined.
        func replicas(of topic: String) async throws -> [Int]? {
            try await blocking { client, timeout in
                var found: UnsafePointer<rd_kafka_metadata>?
                let code = rd_kafka_metadata(client, 1, nil, &found, timeout)
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = found else {
                    throw KafkaError(code, "the metadata of topic '\(topic)'")
                }
                defer { rd_kafka_metadata_destroy(metadata) }
                for index in 0..<Int(metadata.pointee.topic_cnt) {
                    let description = metadata.pointee.topics[index]
                    guard String(cString: description.topic) == topic else { continue }
                    switch description.err {
                    case RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
                        return (0..<Int(description.partition_cnt)).map { Int(description.partitions[$0].replica_cnt) }
                    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: return nil
                    case let code: throw KafkaError(code, "the metadata of topic '\(topic)'")
                    }
                }
                return nil
            }
        }

        /// What the logs of partitions hold.
        func logs(of partitions: [TopicPartition]) async throws -> [Range<Int64>] {
            try await blocking { client, timeout in
                try partitions.map { try Self.log(of: $0, client, timeout) }
            }
        }

        /// Tells what the log of a partition holds, or why it could not be asked for, on the lookup's thread.
        func log(
            of partition: TopicPartition,
            _ answer: @escaping @Sendable (Result<Range<Int64>, any Error>) -> Void
        ) {
            thread.submit { [self] in answer(Result { try Self.log(of: partition, client.handle, timeout) }) }
        }

        static func log(
            of partition: TopicPartition,
            _ client: OpaquePointer,
            _ timeout: Int32
        ) throws -> Range<Int64> {
            var (low, high) = (Int64(0), Int64(0))
            let number = Int32(clamping: partition.partition)
            let code = rd_kafka_query_watermark_offsets(client, partition.topic, number, &low, &high, timeout)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "the log of \(partition)") }
            return low..<max(low, high)
        }

        private static func partition(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> TopicPartition {
            TopicPartition(String(cString: rd_kafka_topic_name(message.pointee.rkt)), Int(message.pointee.partition))
        }

        /// What is found at an offset.
        enum Found: Sendable {
            case message(Message)
            case nothing
            /// Nothing came in the little time that one attempt takes.
            case noAnswer
        }

        /// Reads the record at an offset, for a second at the most.
        func record(at offset: Int64, of partition: TopicPartition, generation: Int64) async throws -> Found {
            try await thread.run { [self] in
                let place = PartitionList([.init(partition: partition, offset: offset)])
                let code = place.withList { rd_kafka_assign(client.handle, $0) }
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "reading \(partition)") }
                defer { rd_kafka_assign(client.handle, nil) }
                for _ in 0..<10 {
                    guard let message = rd_kafka_consumer_poll(client.handle, 100) else { continue }
                    defer { rd_kafka_message_destroy(message) }
                    // Of what was asked for before, and came behind the answer.
                    if message.pointee.rkt != nil, Self.partition(of: message) != partition { continue }
                    let code = message.pointee.err
                    switch FetchAnswer(code) {
                    case .record:
                        guard message.pointee.offset == offset else { return .nothing }
                        var encoder = RecordEncoder()
                        let batch = try encoder.batch([message], of: partition, generation: generation, from: offset)
                        return .message(batch[0])
                    case .end, .outOfRange: return .nothing
                    case .damaged, .other:
                        let error = KafkaError(code, "reading offset \(offset) of \(partition)")
                        if !error.isRetriable { throw error }
                    }
                }
                return .noAnswer
            }
        }
    }
#endif
