#if Kafka
    internal import CRdkafka
    import Ratchet

    /// Reads logs again beside their delivery: a client of its own that is in no group and fetches ahead, on a thread of
    /// its own, as it waits for what it reads.
    final class LogReader: @unchecked Sendable {
        /// What is found in a part of a log.
        enum Found: Sendable {
            case messages(MessageBatch)
            case nothing
            /// Nothing came in the little time that one attempt takes.
            case noAnswer
        }

        private static let batchCount = 1_000
        private static let attemptMilliseconds: Int32 = 100

        private let client: Client
        private let reports: ClientReports
        private let queue: OpaquePointer
        private let thread: JobThread
        private let timeout: Int32

        // What follows only the thread touches.
        private var encoder = RecordEncoder()
        /// What the client is fetching, and the offset of the next message that it will have.
        private var next: (partition: TopicPartition, offset: Int64)?
        /// The first offset that a log has, where something before it was asked for.
        private var beginning: (partition: TopicPartition, offset: Int64)?

        /// Throws ``KafkaError`` with `invalidArgument` for settings that are wrong.
        init(_ configuration: KafkaConfiguration) throws(KafkaError) {
            reports = ClientReports(configuration.logger)
            let client = try Client(RD_KAFKA_CONSUMER, try .reader(configuration), reports)
            rd_kafka_poll_set_consumer(client.handle)
            guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
                preconditionFailure("a consumer has a queue")
            }
            (self.client, self.queue) = (client, queue)
            timeout = Int32(clamping: configuration.timeout.milliseconds)
            nonisolated(unsafe) let ending = queue
            thread = JobThread(name: "kafka-reader") {
                rd_kafka_queue_destroy(ending)
                rd_kafka_consumer_close(client.handle)
                client.destroy()
            }
        }

        deinit { thread.finish() }

        /// Messages in order, from the first that the log holds at or after `offset`, all of them before `end`. Whoever
        /// reads on where the last ones ended has them fetched already.
        func messages(
            from offset: Int64,
            to end: Int64,
            of partition: TopicPartition,
            _ generation: Int64
        ) async throws -> Found {
            try await thread.run { [self] in try read(offset..<end, of: partition, generation) }
        }

        private func read(_ range: Range<Int64>, of partition: TopicPartition, _ generation: Int64) throws -> Found {
            var start = range.lowerBound
            if let beginning, beginning.partition == partition { start = max(start, beginning.offset) }
            guard start < range.upperBound else { return .nothing }
            if next.map({ $0 != (partition, start) }) ?? true { try seek(partition, start) }
            let answers = fetch()
            defer { for answer in answers { rd_kafka_message_destroy(answer) } }
            guard let first = answers.first else { return .noAnswer }
            let records = answers.prefix {
                $0.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR && (start..<range.upperBound).contains($0.pointee.offset)
            }
            guard let last = records.last else { return try judge(first, at: start, of: partition) }
            next = (partition, last.pointee.offset + 1)
            // What is behind is fetched again by whoever wants it.
            if records.count < answers.count || last.pointee.offset + 1 == range.upperBound { stop() }
            do {
                return .messages(
                    try encoder.batch(Array(records), of: partition, generation: generation, from: range.lowerBound)
                )
            } catch {
                throw SourceError(.corrupted, "\(partition) from \(start) on: \(error)")
            }
        }

        /// What the first answer means when it is no record that was asked for.
        private func judge(
            _ answer: UnsafeMutablePointer<rd_kafka_message_t>,
            at offset: Int64,
            of partition: TopicPartition
        ) throws -> Found {
            stop()
            let error = KafkaError(answer.pointee.err, "reading \(partition) from \(offset) on")
            switch FetchAnswer(answer.pointee.err) {
            case .record, .end: return .nothing
            case .outOfRange:
                // Retention was faster, or a leader was behind for a moment.
                let log = try Lookup.log(of: partition, client.handle, timeout)
                beginning = (partition, log.lowerBound)
                return offset < log.upperBound ? .noAnswer : .nothing
            case .damaged: throw SourceError(.corrupted, error.description)
            case .other:
                if error.isRetriable { return .noAnswer }
                throw error
            }
        }

        private func seek(_ partition: TopicPartition, _ offset: Int64) throws {
            let place = PartitionList([.init(partition: partition, offset: offset)])
            let code = place.withList { rd_kafka_assign(client.handle, $0) }
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "reading \(partition)") }
            next = (partition, offset)
        }

        /// Fetches nothing more.
        private func stop() {
            rd_kafka_assign(client.handle, nil)
            next = nil
        }

        private func fetch() -> [UnsafeMutablePointer<rd_kafka_message_t>] {
            withUnsafeTemporaryAllocation(
                of: UnsafeMutablePointer<rd_kafka_message_t>?.self,
                capacity: Self.batchCount
            ) { answers in
                answers.initialize(repeating: nil)
                let count = rd_kafka_consume_batch_queue(
                    queue,
                    Self.attemptMilliseconds,
                    answers.baseAddress,
                    answers.count
                )
                return answers.prefix(max(0, count)).compactMap { $0 }
            }
        }
    }
#endif
