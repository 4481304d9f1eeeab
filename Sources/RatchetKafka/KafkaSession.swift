#if Kafka
    public import Ratchet
    import Synchronization

    /// One membership in a consumer group of Kafka. Leaves the group when it is closed, or with its last reference.
    ///
    /// A thread of its own keeps the member alive, whatever its pipeline does; a pipeline that takes no event for the
    /// rebalance timeout is given up by the group.
    public final class KafkaSession: SourceSession {
        let thread: ConsumerThread
        private let time: TimeSource
        /// Between two readings of one log: it has fetched ahead.
        let logReader = Mutex<LogReader?>(nil)

        init(_ thread: ConsumerThread, time: TimeSource) {
            self.thread = thread
            self.time = time
        }

        deinit { thread.stop() }

        /// The next event; waits until there is one. Events come before messages; partitions with messages take turns.
        /// While brokers cannot be reached it waits: the client goes on trying.
        ///
        /// Where the log does not hold what comes next in a partition, as retention was faster or it was truncated, that is
        /// told once, with ``/Ratchet/SourceEvent/outOfRange(_:)``. Throws ``/Ratchet/SourceError`` with `corrupted` when a
        /// batch is damaged: until that partition is started elsewhere, and in turn with what the other partitions have.
        /// ``KafkaError`` when the group or the topic is not for this client, or another member has taken its instance id;
        /// `CancellationError` when cancelled.
        public func next() async throws -> SourceEvent {
            try thread.state.withLock { state throws(SourceError) in try state.enterNext(now: time.monotonic()) }
            defer { thread.state.withLock { $0.leaveNext(now: time.monotonic()) } }
            while true {
                try Task.checkCancellation()
                switch thread.state.withLock({ $0.step() }) {
                case .event(let event):
                    // There may be something else to be served now.
                    thread.wake()
                    return event
                case .failure(let error): throw error
                case .messages(let batch, let makesRoom):
                    if makesRoom { thread.wake() }
                    return .messages(batch)
                case .wait: try await wait()
                }
            }
        }

        private func wait() async throws {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let outcome = thread.state.withLock { $0.wait(continuation) }
                    if let outcome { continuation.resume(with: outcome) }
                }
            } onCancel: {
                thread.state.withLock { $0.cancelWait() }?.resume(throwing: CancellationError())
            }
        }

        /// Begins the delivery of an assigned partition, or moves it. Throws ``/Ratchet/SourceError``: `notAssigned`,
        /// `fenced`, or `offsetOutOfRange` below 0; ``KafkaError`` when the client refuses. An offset that the log does not
        /// hold is told by ``next()``.
        public func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
            try await onThread { thread, continuation in
                continuation.resume(
                    with: Result { try thread.begin(partition, at: offset, generation: generation) }
                )
            }
        }

        /// Stops or resumes the delivery of one partition; of one that is not assigned, nothing. The client goes on
        /// fetching it up to `queued.max.messages.kbytes`.
        public func setPaused(_ paused: Bool, _ partition: TopicPartition) {
            thread.state.withLock { $0.setPaused(paused, partition) }?.resume()
            if !paused { thread.wake() }
        }

        /// Commits positions, in the order of the calls; the group's coordinator has them when this returns. While the
        /// group rebalances it takes none and is asked again, for the rebalance timeout at the most. Throws
        /// ``/Ratchet/SourceError``: `fenced` when the member does not own a partition under the commit's generation, or
        /// the group has gone on without it, and then commits none; `invalidArgument` for metadata of over 4,096 bytes; `closed`. ``KafkaError`` when the
        /// coordinator could not be reached or has refused: then some or all may be committed all the same.
        public func commit(_ commits: [OffsetCommit]) async throws {
            guard !commits.isEmpty else { return }
            try await onThread { $0.commit(commits, $1) }
        }

        /// Gives revoked partitions back; the next owner is assigned them. Others are left alone.
        public func release(_ partitions: [TopicPartition]) async {
            if thread.state.withLock({ $0.release(partitions) }) { thread.wake() }
        }

        /// The record at `offset`, nil when the log does not hold it. Waits while the partition's leader cannot be
        /// reached. Throws ``/Ratchet/SourceError``: `notAssigned`; ``KafkaError`` when it cannot be read.
        public func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
            while true {
                try Task.checkCancellation()
                let generation = try generation(of: partition)
                switch try await thread.lookup.record(at: offset, of: partition, generation: generation) {
                case .message(let message): return message
                case .nothing: return nil
                case .noAnswer: continue
                }
            }
        }

        func generation(of partition: TopicPartition) throws(SourceError) -> Int64 {
            try thread.state.withLock { state throws(SourceError) in
                state.fetches[try state.index(of: partition)].generation
            }
        }

        /// Leaves the group; what is in flight can no longer be committed. Returns once the group has been told, or cannot
        /// be within the session timeout. Idempotent; wakes ``next()``.
        public func close() async {
            thread.stop()
            logReader.withLock { $0 = nil }
            await thread.ended.wait()
        }

        private func onThread(
            _ body: @escaping @Sendable (ConsumerThread, CheckedContinuation<Void, any Error>) -> Void
        ) async throws {
            try await withCheckedThrowingContinuation { continuation in
                let isTaken = thread.submit { body($0, continuation) }
                if !isTaken { continuation.resume(throwing: SourceError(.closed, "the session has ended")) }
            }
        }
    }
#endif
