#if Kafka
    import CRdkafka
    import Dispatch
    import Ratchet
    import Synchronization

    @testable import RatchetKafka

    /// librdkafka's plain clients, to look at a cluster beside the connector.
    final class PlainClient: Sendable {
        struct Failure: Error, CustomStringConvertible { let description: String }

        private let servers: String
        private let producer: Mutex<OpaquePointer?> = Mutex(nil)

        init(_ servers: String) { self.servers = servers }

        /// Runs what blocks on a thread that no task waits for.
        static func blocking<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
            try await withCheckedThrowingContinuation { continuation in
                DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
            }
        }

        private func client(_ kind: rd_kafka_type_t, _ settings: [(String, String)]) throws -> OpaquePointer {
            let conf = rd_kafka_conf_new()
            if kind == RD_KAFKA_PRODUCER {
                rd_kafka_conf_set_dr_msg_cb(conf) { _, message, _ in
                    if let message { PendingSend.delivered(message.pointee._private, message.pointee.err) }
                }
            }
            var text = [CChar](repeating: 0, count: 256)
            for (name, value) in [("bootstrap.servers", servers), ("log_level", "0")] + settings {
                guard rd_kafka_conf_set(conf, name, value, &text, text.count) == RD_KAFKA_CONF_OK else {
                    throw Failure(description: "\(name)")
                }
            }
            guard let client = rd_kafka_new(kind, conf, &text, text.count) else {
                throw Failure(description: "no client")
            }
            return client
        }

        /// Sends messages in order; returns once they can be read.
        func produce(_ messages: [OutgoingMessage]) async throws {
            let batch = try OutgoingBatch(messages)
            try await Self.blocking { [self] in
                try producer.withLock { producer in
                    let client = try producer ?? self.client(RD_KAFKA_PRODUCER, [("partitioner", "murmur2_random")])
                    producer = client
                    let send = PendingSend(batch, Array(0..<batch.count))
                    if let refusal = send.handOver(to: client) { throw Failure(description: "\(refusal)") }
                    guard rd_kafka_flush(client, 30_000) == RD_KAFKA_RESP_ERR_NO_ERROR else {
                        throw Failure(description: "\(messages.count) messages could not be sent")
                    }
                }
            }
        }

        /// All that a partition holds.
        func contents(of partition: TopicPartition) async throws -> [Message] {
            try await Self.blocking { [self] in
                let client = try client(
                    RD_KAFKA_CONSUMER,
                    [
                        ("group.id", "reader"), ("enable.partition.eof", "true"), ("auto.offset.reset", "earliest"),
                        ("enable.auto.commit", "false"),
                    ]
                )
                defer {
                    rd_kafka_consumer_close(client)
                    rd_kafka_destroy(client)
                }
                rd_kafka_poll_set_consumer(client)
                let start = Int64(RD_KAFKA_OFFSET_BEGINNING)
                let code = PartitionList([.init(partition: partition, offset: start)]).withList {
                    rd_kafka_assign(client, $0)
                }
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    throw Failure(description: "\(KafkaError(code, "assign"))")
                }
                var found: [Message] = []
                var silences = 0
                while silences < 1_000 {
                    guard let message = rd_kafka_consumer_poll(client, 100) else {
                        silences += 1
                        continue
                    }
                    defer { rd_kafka_message_destroy(message) }
                    switch message.pointee.err {
                    case RD_KAFKA_RESP_ERR_NO_ERROR:
                        var encoder = RecordEncoder()
                        let offset = message.pointee.offset
                        found.append(try encoder.batch([message], of: partition, generation: 0, from: offset)[0])
                    case RD_KAFKA_RESP_ERR__PARTITION_EOF: return found
                    case let code: throw Failure(description: "\(KafkaError(code, "reading \(partition)"))")
                    }
                }
                throw Failure(description: "\(partition) has no end")
            }
        }

        /// The offsets that a partition holds.
        func log(of partition: TopicPartition) async throws -> Range<Int64> {
            try await Self.blocking { [self] in
                let client = try client(RD_KAFKA_PRODUCER, [])
                defer { rd_kafka_destroy(client) }
                var (low, high) = (Int64(0), Int64(0))
                let code = rd_kafka_query_watermark_offsets(
                    client,
                    partition.topic,
                    Int32(partition.partition),
                    &low,
                    &high,
                    30_000
                )
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                    throw Failure(description: "\(KafkaError(code, "log"))")
                }
                return low..<high
            }
        }
    }
#endif
