#if RabbitMQ
    public import Ratchet
    import Synchronization

    /// A consumer of one queue or several, as a pipeline's session, over a connection of its own: each queue is one channel,
    /// the partition its number within this process, the offset the delivery tag.
    ///
    /// A connection that is lost, or a channel that the server closes, is told as lost and followed by another one, with a
    /// new number, after ``RabbitMQConfiguration/reconnecting``'s delay; acks of the old one are fenced. What was not acked
    /// goes back to the queue, also when the session is closed or its last reference goes.
    public final class RabbitMQSession: QueueSession {
        private let desk: ConsumerDesk
        private let inNext = Atomic<Bool>(false)

        init(desk: ConsumerDesk) { self.desk = desk }

        deinit { desk.abandon() }

        /// The next event; waits until there is one. Channels with messages take turns. Throws ``RabbitMQError`` when the
        /// server refuses the credentials, breaks the protocol, or delivers a message beyond
        /// ``RabbitMQConfiguration/maximumMessageSize``; `CancellationError` when cancelled.
        public func next() async throws -> SourceEvent {
            guard !inNext.exchange(true, ordering: .acquiringAndReleasing) else {
                throw SourceError(.invalidArgument, "next() was called while another call waits: one task calls it")
            }
            defer { inNext.store(false, ordering: .releasing) }
            while true {
                try Task.checkCancellation()
                if let event = try desk.take() { return event }
                await desk.signal.wait()
            }
        }

        /// Begins the delivery of a channel. Throws ``/Ratchet/SourceError``: `notAssigned`, `fenced`, or
        /// `offsetOutOfRange` for another tag than its first.
        public func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
            try desk.start(partition, at: offset, generation)
        }

        /// Stops or resumes the delivery of one channel; of one that is not assigned, nothing. What the prefetch has
        /// brought stays in memory meanwhile.
        public func setPaused(_ paused: Bool, _ partition: TopicPartition) { desk.setPaused(paused, partition) }

        /// Acks deliveries: all of a channel up to one tag at once, others one by one; what was acked before is left out.
        /// Returns once the server has taken them in; a server that crashes then may still deliver them again.
        ///
        /// Throws ``/Ratchet/SourceError``: `fenced` when a channel is gone, `invalidArgument` for a tag that was never
        /// delivered; either way nothing is acked that was not acked already.
        public func ack(_ acks: [QueueAck]) async throws { try await desk.settle(acks, .ack) }

        /// Gives deliveries back unprocessed: with `requeue` to the queue, which delivers them again, to whomever;
        /// without, to the queue's dead-letter exchange, and away for good if it has none. Otherwise as ``ack(_:)``.
        public func nack(_ nacks: [QueueAck], requeue: Bool) async throws {
            try await desk.settle(nacks, requeue ? .requeue : .drop)
        }

        /// Acks all before the offsets; see ``ack(_:)``.
        public func commit(_ commits: [OffsetCommit]) async throws {
            try await ack(
                commits.map {
                    QueueAck(partition: $0.partition, generation: $0.generation, through: $0.offset - 1, tags: [])
                }
            )
        }

        /// Nothing: no channel is ever revoked.
        public func release(_ partitions: [TopicPartition]) async {}

        /// Nil: a queue is not read again.
        public func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? { nil }

        /// Gives back what was not acked and closes the connection. Idempotent; wakes ``next()``.
        public func close() async { await desk.close() }
    }
#endif
