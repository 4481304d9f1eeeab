#if Kafka
    internal import CRdkafka
    import LMDB
    import Logging
    import Ratchet
    import Synchronization

    /// A group's member and the one thread that serves it: the shell around ``SessionState``.
    ///
    /// The thread sleeps until librdkafka or a caller has work for it and never blocks else. Partitions that are to be
    /// given back are given back when they are released: librdkafka waits for that as the group does. A client that waits
    /// fetches nothing, not of those partitions either that stay. So there are two: a member, which fetches nothing, and a
    /// fetcher, which is in no group and goes on.
    final class ConsumerThread: @unchecked Sendable {
        typealias Job = @Sendable (ConsumerThread) -> Void

        private struct Jobs {
            var waiting: [Job] = []
            var isOver = false
        }

        let configuration: KafkaConfiguration
        let member: Client
        let fetcher: Client
        let lookup: Lookup
        let logger: Logger
        let state: Mutex<SessionState>
        let ended = Latch()
        let metrics: KafkaMetrics
        private let listener: ConsumerListener
        let waker = Waker()
        private let jobs = Mutex(Jobs())
        let began: Int64

        // What follows only the thread touches.
        let memberQueue: OpaquePointer
        let fetcherQueue: OpaquePointer
        /// The partitions that librdkafka was told to fetch, in the order of their starts.
        var started: [PartitionQueue] = []
        var questions: [Question] = []
        /// The group has told the member its partitions once, if only that it has none.
        var wasAssigned = false
        var commits: [PendingCommit] = []
        var nextCommit: UInt = 1
        private var encoder = RecordEncoder()
        private let messages: UnsafeMutableBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>

        /// A member that joins the group with ``start(_:)``.
        init(_ configuration: KafkaConfiguration, group: String, instanceID: String?, _ lookup: Lookup)
            throws(KafkaError)
        {
            self.configuration = configuration
            self.lookup = lookup
            var logger = configuration.logger
            logger[metadataKey: LogKeys.group] = "\(group)"
            self.logger = logger
            metrics = KafkaMetrics(group: group, factory: configuration.metrics)
            listener = ConsumerListener(ClientReports(logger), metrics)
            let joining = try ClientSettings.member(configuration, group: group, instanceID: instanceID)
            let fetching = try ClientSettings.fetcher(configuration, group: group)
            (member, memberQueue) = try Self.client(joining, listener)
            do {
                (fetcher, fetcherQueue) = try Self.client(fetching, listener)
            } catch {
                rd_kafka_queue_destroy(memberQueue)
                member.destroy()
                throw error
            }
            began = configuration.time.wall()
            state = Mutex(SessionState(now: configuration.time.monotonic()))
            messages = .allocate(capacity: 1_000)
            messages.initialize(repeating: nil)
        }

        deinit { messages.deallocate() }

        private static func client(
            _ settings: ClientSettings,
            _ listener: ConsumerListener
        ) throws(KafkaError) -> (Client, OpaquePointer) {
            let client = try Client(RD_KAFKA_CONSUMER, settings, listener)
            rd_kafka_poll_set_consumer(client.handle)
            guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
                preconditionFailure("a consumer of a group has a queue")
            }
            return (client, queue)
        }

        /// Joins the group and starts the thread, which ends with ``stop()``.
        func start(_ topics: [String]) {
            waker.listen(to: memberQueue)
            waker.listen(to: fetcherQueue)
            let code = PartitionList(topics.map { TopicPartition($0, Int(RD_KAFKA_PARTITION_UA)) }).withList {
                rd_kafka_subscribe(member.handle, $0)
            }
            if code != RD_KAFKA_RESP_ERR_NO_ERROR { end(KafkaError(code, "subscribing to \(topics)")) }
            Platform.startThread(name: "kafka-consumer") { self.run() }
        }

        /// Has the thread run a closure soon; false when it has ended, and runs nothing more.
        @discardableResult
        func submit(_ job: @escaping Job) -> Bool {
            let isTaken = jobs.withLock { jobs in
                if !jobs.isOver { jobs.waiting.append(job) }
                return !jobs.isOver
            }
            waker.wake()
            return isTaken
        }

        func takeJobs(isLast: Bool = false) -> [Job] {
            jobs.withLock { jobs in
                defer { jobs = Jobs(isOver: isLast) }
                return jobs.waiting
            }
        }

        func wake() { waker.wake() }

        /// Nothing more is delivered; the member leaves the group and the thread ends, after which ``ended`` is open.
        func stop() {
            state.withLock { $0.end(nil) }?.resume()
            waker.wake()
        }

        var now: Int64 { configuration.time.monotonic() }

        /// Nothing more is delivered but this error.
        func end(_ error: any Error) {
            logger.error("the session has ended", metadata: [LogKeys.error: "\(error)"])
            state.withLock { $0.end(error) }?.resume()
        }

        // MARK: The thread

        private func run() {
            while !state.withLock({ $0.isClosed }) {
                waker.wait(milliseconds: hasPostponed || state.withLock { $0.revocation != nil } ? 100 : 1_000)
                serve()
                sendCommit()
                readPartitions()
                ask()
            }
            leave()
        }

        func serve() {
            for job in takeJobs() { job(self) }
            let limit = configuration.rebalanceTimeout.nanoseconds
            // Who takes no events is not to pass for alive: librdkafka notices that nobody serves it.
            if state.withLock({ $0.isAttended(now: now, within: limit) }) { serve(memberQueue) }
            serve(fetcherQueue)
            let news = listener.takeNews()
            for rebalance in news.rebalances { handle(rebalance) }
            for commit in news.commits { answer(commit) }
            if news.hasFailed, let error = member.fatalError { end(error) }
            endRevocation()
        }

        /// Has librdkafka call back what it has to say, and takes what it reports beside that.
        private func serve(_ queue: OpaquePointer) {
            while true {
                let count = max(0, rd_kafka_consume_batch_queue(queue, 0, messages.baseAddress, messages.count))
                for index in 0..<count {
                    guard let message = messages[index] else { continue }
                    if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
                        // Taken for a hole in the log it would be lost.
                        end(
                            KafkaError(
                                .init(RD_KAFKA_RESP_ERR__STATE),
                                "a message came past the queue of its partition"
                            )
                        )
                    } else {
                        report(message)
                    }
                    rd_kafka_message_destroy(message)
                }
                if count < messages.count { return }
            }
        }

        private func report(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
            let code = message.pointee.err
            let error = KafkaError(code, rd_kafka_message_errstr(message).map { String(cString: $0) } ?? "the consumer")
            switch code {
            case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
                RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
                RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
                end(error)
            default: logger.warning("the client reports", metadata: [LogKeys.error: "\(error)"])
            }
        }

        private func readPartitions() {
            for partition in started {
                while let (position, generation) = state.withLock({ $0.reading(partition.partition) }) {
                    let count = partition.read(into: messages)
                    if count == 0 { break }
                    take(count, of: partition.partition, from: position, generation)
                }
            }
        }

        private func take(_ count: Int, of partition: TopicPartition, from position: Int64, _ generation: Int64) {
            let taken = messages[..<count].compactMap { $0 }
            defer { for message in taken { rd_kafka_message_destroy(message) } }
            // What was fetched before the partition was moved may come behind that.
            let records = taken.filter { $0.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR && $0.pointee.offset >= position }
            do {
                if !records.isEmpty {
                    let batch = try encoder.batch(records, of: partition, generation: generation, from: position)
                    state.withLock { $0.deliver(batch) }?.resume()
                }
            } catch {
                let failure = SourceError(.corrupted, "\(partition) from \(position) on: \(error)")
                state.withLock { $0.fail(partition, failure) }?.resume()
            }
            for message in taken where message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR { fail(partition, message) }
        }

        private func fail(_ partition: TopicPartition, _ message: UnsafeMutablePointer<rd_kafka_message_t>) {
            let code = message.pointee.err
            switch FetchAnswer(code) {
            case .outOfRange:
                guard let miss = state.withLock({ $0.miss(of: partition) }) else { return }
                questions.append(Question(subject: .log(miss), due: now))
            case .damaged:
                let failure = SourceError(.corrupted, "\(partition): \(KafkaError(code, "a fetch"))")
                state.withLock { $0.fail(partition, failure) }?.resume()
            case .record, .end, .other: report(message)
            }
        }
    }
#endif
