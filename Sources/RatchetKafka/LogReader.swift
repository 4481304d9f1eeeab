#if Kafka
    internal import CRdkafka
    import Ratchet

    /// Reads a partition's log again from one offset on, beside its delivery: a client of its own that is in no group and
    /// fetches ahead, on a thread of its own, as it waits for what it reads. One for each place to begin at: what one has
    /// fetched cannot be taken for another's.
    final class LogReader: @unchecked Sendable {
        /// What comes next in the log.
        enum Found: Sendable {
            /// Messages; whether there is nothing to be read behind them by this reader.
            case messages(MessageBatch, isLast: Bool)
            case nothing
            /// The log does not hold what was asked for; the first offset that it holds.
            case gone(before: Int64)
            /// Nothing came in the little time that one attempt takes.
            case noAnswer
        }

        private static let batchCount = 1_000
        private static let attemptMilliseconds: Int32 = 100

        let partition: TopicPartition
        private let client: Client
        private let reports: ClientReports
        private let queue: OpaquePointer
        private let thread: JobThread
        private let timeout: Int32

        // What follows belongs to whoever reads: one at a time.
        /// The offset behind the last message that was read.
        private(set) var position: Int64
        private var isBegun = false
        private var encoder = RecordEncoder()

        /// Throws ``KafkaError`` with `invalidArgument` for settings that are wrong.
        init(_ configuration: KafkaConfiguration, _ partition: TopicPartition, from offset: Int64) throws(KafkaError) {
            self.partition = partition
            position = offset
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

        /// The next messages, all of them before `end`.
        func read(to end: Int64, _ generation: Int64) async throws -> Found {
            try await thread.run { [self] in try fetch(to: end, generation) }
        }

        private func fetch(to end: Int64, _ generation: Int64) throws -> Found {
            try begin()
            let all = answers()
            defer { for answer in all { rd_kafka_message_destroy(answer) } }
            // While a broker is away librdkafka says so in between, and goes on where it was.
            let answers = all.filter { !Self.isPassing($0.pointee.err) }
            guard let first = answers.first else { return .noAnswer }
            let records = answers.prefix {
                $0.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR && $0.pointee.offset < end
            }
            guard let last = records.last else { return try judge(first) }
            let start = position
            position = last.pointee.offset + 1
            let batch: MessageBatch
            do {
                batch = try encoder.batch(Array(records), of: partition, generation: generation, from: start)
            } catch {
                throw SourceError(.corrupted, "\(partition) from \(start) on: \(error)")
            }
            return .messages(batch, isLast: records.count < answers.count || position >= end)
        }

        private func begin() throws {
            guard !isBegun else { return }
            let place = PartitionList([.init(partition: partition, offset: position)])
            let code = place.withList { rd_kafka_assign(client.handle, $0) }
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "reading \(partition)") }
            isBegun = true
        }

        /// What the first answer means when it is no record that was asked for.
        private func judge(_ answer: UnsafeMutablePointer<rd_kafka_message_t>) throws -> Found {
            let error = KafkaError(answer.pointee.err, "reading \(partition) from \(position) on")
            switch FetchAnswer(answer.pointee.err) {
            case .record, .end: return .nothing
            case .outOfRange:
                let log = try Lookup.log(of: partition, client.handle, timeout)
                // Where a leader was behind for a moment it is there after all.
                return position < log.upperBound ? .gone(before: log.lowerBound) : .nothing
            case .damaged: throw SourceError(.corrupted, error.description)
            case .other: throw error
            }
        }

        private static func isPassing(_ code: rd_kafka_resp_err_t) -> Bool {
            if case .other = FetchAnswer(code) { KafkaError(code, "").isRetriable } else { false }
        }

        private func answers() -> [UnsafeMutablePointer<rd_kafka_message_t>] {
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
