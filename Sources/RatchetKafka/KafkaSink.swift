#if Kafka
    internal import CRdkafka
    import Logging
    public import Ratchet
    import Synchronization

    /// Where a pipeline's messages go: topics of a Kafka cluster, by an idempotent producer that waits for all in-sync
    /// replicas. Ends with its last reference.
    ///
    /// A message is tried until ``KafkaConfiguration/deliveryTimeout``; one that was not confirmed by then is unknown, not
    /// unwritten. An empty payload of a message with a key is sent as null: a tombstone.
    public final class KafkaSink: Sink {
        private let configuration: KafkaConfiguration
        private let settings: ClientSettings
        private let catalog: TopicCatalog
        private let producer: Mutex<ProducerThread>

        /// How often a batch is taken up again when one of its messages was refused and others fell with it.
        private static let rounds = 8

        init(_ configuration: KafkaConfiguration) throws(KafkaError) {
            self.configuration = configuration
            settings = try .producer(configuration)
            catalog = TopicCatalog(try Lookup(configuration, group: nil))
            let first = try ProducerThread(settings, configuration.logger)
            first.start()
            producer = Mutex(first)
        }

        deinit { producer.withLock { $0 }.stop() }

        /// The producer's fatal error: another instance with its id, a cluster that has forgotten it. Nil while it goes on,
        /// also while no broker can be reached.
        public var failure: (any Error)? {
            let error = producer.withLock { $0 }.fatalError
            return error.map(Self.isPassing) ?? false ? nil : error
        }

        /// Sends the messages in order and returns once each is confirmed or has failed: the failures, by index, each a
        /// ``/Ratchet/MessageError`` or a ``KafkaError``. Topics are never made by sending to them. Throws ``KafkaError``
        /// when the cluster cannot be asked which topics it has, or the producer has failed for good.
        public func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
            if let failure { throw failure }
            var outcome = SendOutcome(count: batch.count)
            try await refuse(batch, &outcome)
            for _ in 0..<Self.rounds {
                outcome.failBehind(in: batch)
                let open = outcome.open
                if open.isEmpty { return outcome.failures }
                let producer = try current()
                for (index, code) in try await producer.send(open, of: batch) {
                    outcome.settle(index, fate(of: index, code, in: batch))
                }
                if let failure { throw failure }
            }
            for index in outcome.open {
                outcome.settle(
                    index,
                    .failed(KafkaError(.notSent, "message \(index) of \(batch.count)", isRetriable: true))
                )
            }
            outcome.failBehind(in: batch)
            return outcome.failures
        }

        /// The producer, made anew where the last one would have had to leave a gap.
        private func current() throws -> ProducerThread {
            try producer.withLock { producer in
                guard let error = producer.fatalError, Self.isPassing(error) else { return producer }
                configuration.logger.warning(
                    "messages could not be written, the producer begins anew",
                    metadata: [LogKeys.error: "\(error)"]
                )
                let next = try ProducerThread(settings, configuration.logger)
                producer.stop()
                producer = next
                next.start()
                return next
            }
        }

        /// A message that fails would leave a gap in its partition: what is behind it is not sent, by this producer.
        private static func isPassing(_ error: KafkaError) -> Bool {
            error.code == .init(RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE)
        }

        private func fate(of index: Int, _ code: rd_kafka_resp_err_t, in batch: OutgoingBatch) -> SendOutcome.Fate {
            switch code {
            case RD_KAFKA_RESP_ERR_NO_ERROR: return .confirmed
            // It fell with another one.
            case RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, RD_KAFKA_RESP_ERR__FATAL,
                RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
                return .open
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
                let topic = batch.topics[Int(batch.entries[index].topic)]
                catalog.forget(topic)
                return .failed(MessageError(.unknownTopic, "no topic '\(topic)' in the cluster: create it first"))
            case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
                return .failed(MessageError(.unknownPartition, "message \(index) of \(batch.count)"))
            case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
                let entry = batch.entries[index]
                return .failed(
                    MessageError(
                        .tooLarge,
                        "\(entry.end - entry.start) bytes for topic '\(batch.topics[Int(entry.topic)])': raise message.max.bytes, and queue.buffering.max.kbytes where it was lowered, here and max.message.bytes there"
                    )
                )
            default: return .failed(KafkaError(code, "message \(index) of \(batch.count)"))
            }
        }

        /// Has those fail whose topic or partition does not exist.
        private func refuse(_ batch: OutgoingBatch, _ outcome: inout SendOutcome) async throws {
            var needed: [String: Int] = [:]
            for entry in batch.entries {
                let topic = batch.topics[Int(entry.topic)]
                needed[topic] = max(needed[topic] ?? 0, Int(entry.partition) + 1)
            }
            let counts = try await catalog.counts(of: batch.topics, atLeast: needed)
            for (index, entry) in batch.entries.enumerated() {
                let topic = batch.topics[Int(entry.topic)]
                guard let count = counts[topic] else {
                    outcome.settle(
                        index,
                        .failed(MessageError(.unknownTopic, "no topic '\(topic)' in the cluster: create it first"))
                    )
                    continue
                }
                guard Int(entry.partition) >= count else { continue }
                let detail = "\(topic)/\(entry.partition): topic '\(topic)' has \(count) partitions"
                outcome.settle(index, .failed(MessageError(.unknownPartition, detail)))
            }
        }
    }

#endif
