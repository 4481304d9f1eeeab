#if RabbitMQ
    import Logging
    public import Ratchet
    import Synchronization

    /// A consumer of one stream or several, as a pipeline's session: a connection that consumes, one that commits, and one for
    /// each message that is read again.
    ///
    /// A connection that is lost is told as lost partitions, which are assigned anew with the next one.
    public final class RabbitMQStreamSession: SourceSession {
        private let desk: ConsumerDesk
        private let positions: StreamPositions
        private let sink: RabbitMQSink
        private let subscription: RabbitMQStreamSubscription
        private let inNext = Atomic<Bool>(false)

        init(
            desk: ConsumerDesk,
            positions: StreamPositions,
            sink: RabbitMQSink,
            subscription: RabbitMQStreamSubscription
        ) {
            self.desk = desk
            self.positions = positions
            self.sink = sink
            self.subscription = subscription
        }

        deinit { desk.abandon() }

        /// The next event; waits until there is one. Streams with messages take turns. Throws ``RabbitMQError`` when the
        /// server refuses the credentials, breaks the protocol, or delivers a message beyond
        /// ``RabbitMQConfiguration/maximumMessageSize``; `CancellationError` when cancelled.
        public func next() async throws -> SourceEvent {
            guard !inNext.exchange(true, ordering: .acquiringAndReleasing) else {
                throw SourceError(.invalidArgument, "next() was called while another call waits: one task calls it")
            }
            defer { inNext.store(false, ordering: .releasing) }
            while true {
                try Task.checkCancellation()
                if let passing = desk.passing {
                    try await explain(passing)
                } else if let event = try desk.take() {
                    return event
                } else {
                    await desk.signal.wait()
                }
            }
        }

        /// Finds out whether retention has removed what was passed over.
        private func explain(_ passing: ConsumerDesk.Passing) async throws {
            let partition = passing.identity.partition
            let emptyAfter = subscription.emptyAfter
            do {
                let log = try await ask(of: partition) { wire, configuration in
                    let log = try wire.offsets(of: [partition.topic], emptyAfter: emptyAfter, configuration)[0]
                    guard !log.isEmpty else {
                        throw RabbitMQError(.timedOut, "stream '\(partition.topic)' delivers nothing of its beginning")
                    }
                    return log
                }
                desk.explain(passing, log: log)
            } catch let error as SourceError where error.code == .notAssigned {
                // Lost meanwhile, with what it had delivered: the next event says so.
            }
        }

        /// Begins the delivery of a stream at `offset`. Throws ``/Ratchet/SourceError``: `notAssigned`, `fenced`,
        /// `offsetOutOfRange` for one below zero. Of a stream that is started a second time the connection is made anew.
        public func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
            try desk.start(partition, at: offset, generation)
        }

        /// Stops or resumes the delivery of one stream. What the prefetch has brought stays in memory meanwhile.
        public func setPaused(_ paused: Bool, _ partition: TopicPartition) { desk.setPaused(paused, partition) }

        /// Commits positions; returns once the server has them for sure. Throws ``/Ratchet/SourceError`` with `fenced` when one
        /// is of an older generation of this session, and then commits none; ``RabbitMQError`` when the server does not take
        /// them: some may be committed then.
        public func commit(_ commits: [OffsetCommit]) async throws {
            for commit in commits { try desk.check(commit.partition, commit.generation) }
            let messages = commits.map { positions.message($0) }
            if let failure = try await sink.send(OutgoingBatch(messages)).first { throw failure.error }
        }

        /// Nothing: no stream is ever revoked.
        public func release(_ partitions: [TopicPartition]) async {}

        /// The message at `offset`, by a connection for that one question; nil if the stream does not hold it: of one behind
        /// its end that takes ``RabbitMQStreamSubscription/emptyAfter``, twice. While the server cannot be reached it is asked
        /// again. Throws ``/Ratchet/SourceError`` with `notAssigned` when the partition is lost meanwhile; ``RabbitMQError``
        /// when the server refuses.
        public func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
            guard offset >= 0 else { return nil }
            // A server that is slow must not be taken for a stream that no longer holds what was processed.
            let isKnown = desk.log(of: partition)?.contains(offset) ?? false
            let emptyAfter = subscription.emptyAfter
            let chunk = try await ask(of: partition) { wire, configuration in
                try wire.message(
                    at: offset,
                    of: partition.topic,
                    isKnown: isKnown,
                    emptyAfter: emptyAfter,
                    configuration
                )
            }
            return try chunk?.batch(of: partition, generation: 0, countsDeliveries: false)[0]
        }

        /// Asks by a connection for that one question, as often as it takes, while the partition is assigned.
        private func ask<R: Sendable>(
            of partition: TopicPartition,
            _ body: @escaping @Sendable (Wire, RabbitMQConfiguration) throws -> R
        ) async throws -> R {
            let configuration = subscription.configuration
            var failures = 0
            while true {
                do {
                    return try await Asking.connected(to: subscription.address, configuration) { wire in
                        try body(wire, configuration)
                    }
                } catch let error as RabbitMQError where error.isRetriable {
                    guard desk.log(of: partition) != nil else {
                        throw SourceError(.notAssigned, "stream \(partition) is lost: \(error)")
                    }
                    failures += 1
                    let delay = configuration.delay(after: failures)
                    configuration.logger.warning(
                        "a stream's question is asked again later",
                        metadata: [LogKeys.milliseconds: "\(delay / 1_000_000)", LogKeys.error: "\(error)"]
                    )
                    try await configuration.clock.sleep(for: .nanoseconds(delay))
                }
            }
        }

        /// Closes the connections. Idempotent; wakes ``next()``.
        public func close() async {
            await desk.close()
            await sink.close()
        }
    }
#endif
