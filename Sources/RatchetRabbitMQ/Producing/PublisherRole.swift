#if RabbitMQ
    import Logging
    import Ratchet

    /// A connection that publishes, one batch after the other.
    final class PublisherRole: ConnectionRole {
        private enum Stage {
            case absent, opening, findingExchange, selecting, ready
        }

        private struct Current {
            let job: PublisherDesk.Job
            var window: PublishWindow
            var isCommitting = false
        }

        private static let channel: UInt16 = 1
        /// Messages that are published before the server's answers have their turn.
        private static let messagesPerTurn = 128
        /// Bytes that are written before the socket is asked whether it takes more.
        private static let bytesAtOnce = 16_384

        private let desk: PublisherDesk
        private let settings: RabbitMQSinkSettings
        private let configuration: RabbitMQConfiguration
        private let logger: Logger
        private var stage = Stage.absent
        private var stageLimit: Int64?
        private var isBlocked = false
        private(set) var waitsForRoom = false
        private var nextTag: UInt64 = 1
        private var current: Current?
        /// A message that comes back, until its last byte is there.
        private var returning: (what: Return, missing: Int)?

        init(desk: PublisherDesk, settings: RabbitMQSinkSettings, configuration: RabbitMQConfiguration) {
            self.desk = desk
            self.settings = settings
            self.configuration = configuration
            logger = configuration.logger
        }

        private var isTransactional: Bool { settings.confirmation == .transactions }
        var wantsConnection: Bool { current != nil || desk.hasJobs }
        var isOver: Bool { desk.isClosed }
        var isEstablished: Bool { stage == .ready }
        var hasPlenty: Bool { false }
        var deadline: Int64? { [current?.job.deadline, stageLimit].compactMap(\.self).min() }

        // MARK: What is to be done

        func work(_ wire: Wire?, at now: Int64) throws(RabbitMQError) -> Bool {
            if current == nil, let job = desk.takeJob() { begin(job) }
            waitsForRoom = false
            try endInVain(at: now)
            guard let wire else { return false }
            try advance(wire, at: now)
            guard stage == .ready, !isBlocked else { return false }
            let hasMore = try publish(wire)
            if let current, current.window.isDone, !current.isCommitting { finish(nil) }
            return hasMore || (current == nil && desk.hasJobs)
        }

        /// Ends a batch that nobody waits for any more, or that has had its time.
        private func endInVain(at now: Int64) throws(RabbitMQError) {
            guard let current else { return }
            let isOpen = current.window.outstandingCount > 0
            let isAwaited = desk.isAwaited(current.job.id)
            let isLate = now >= current.job.deadline
            guard !isAwaited || isLate else { return }
            let late = PublisherDesk.late(settings.timeout)
            finish(late)
            guard isOpen else { return }
            // What is in a transaction would be committed with the next batch, and the answer to a commit be taken for that
            // one's: it ends with its connection. Confirms have numbers. But a channel that owes them is not believed any
            // longer: after a restart a server has confirmed on one what it never wrote into its stream.
            guard isTransactional || (isLate && !isBlocked) else { return }
            throw isLate ? late : RabbitMQError(.closed, "a transaction was given up")
        }

        private func begin(_ job: PublisherDesk.Job) {
            var window = PublishWindow(job.batch, waitsInLanes: !isTransactional)
            PublishRules.check(job.batch) { window.refuse($0, $1) }
            current = Current(job: job, window: window)
        }

        private func advance(_ wire: Wire, at now: Int64) throws(RabbitMQError) {
            if stage == .absent {
                try wire.openChannel(Self.channel)
                enter(.opening, at: now)
            }
            if let stageLimit, now >= stageLimit {
                throw RabbitMQError(.timedOut, "the server has not answered within \(configuration.timeout)")
            }
        }

        private func enter(_ next: Stage, at now: Int64) {
            stage = next
            stageLimit = next == .ready ? nil : now + configuration.timeout.nanoseconds
        }

        /// Publishes what may be published; whether there is more.
        private func publish(_ wire: Wire) throws(RabbitMQError) -> Bool {
            // Taken out, so that it is not copied when it changes.
            guard var current = self.current.take() else { return false }
            defer { self.current = current }
            guard !current.isCommitting else { return false }
            var room = 0
            for _ in 0..<Self.messagesPerTurn {
                if room <= 0 {
                    waitsForRoom = !Descriptors.hasRoom(wire.descriptor)
                    guard !waitsForRoom else { return false }
                    room = Self.bytesAtOnce
                }
                let limit = isTransactional ? Int.max : settings.window
                guard let index = current.window.next(limit: limit) else {
                    if isTransactional, current.window.outstandingCount > 0 {
                        current.isCommitting = true
                        try wire.commit(Self.channel)
                    }
                    return false
                }
                current.window.published(index, as: nextTag)
                nextTag += 1
                room -= try publish(index, of: current.job.batch, wire)
            }
            return true
        }

        /// Returns about how many bytes that were.
        private func publish(_ index: Int, of batch: OutgoingBatch, _ wire: Wire) throws(RabbitMQError) -> Int {
            let entry = batch.entries[index]
            let now = configuration.time.wall()
            var failure: RabbitMQError?
            var written = 0
            batch.bytes.withUnsafeBytes { bytes in
                let parts = batch.parts(of: entry, in: bytes)
                let route = PublishRules.route(of: entry, parts, in: batch, bytes, settings)
                // With what frames and properties come to.
                written = parts.payload.count + parts.headers.count + (parts.key?.count ?? 0) + 100
                do throws(RabbitMQError) {
                    try wire.publish(
                        bytes,
                        parts,
                        to: route,
                        isPersistent: !entry.isTransient,
                        now: now,
                        Self.channel
                    )
                } catch { failure = error }
            }
            if let failure { throw failure }
            return written
        }

        // MARK: What the server says

        func take(_ frame: Frame, _ wire: Wire, at now: Int64) throws(RabbitMQError) {
            switch frame {
            case .method(_, let method): try take(method, wire, at: now)
            case .header(_, let size, let properties):
                guard let returning else { throw Self.unasked("the header of no message") }
                let id = MessageProperties.messageID(of: properties)
                giveBack(returning.what, id)
                self.returning = size > 0 ? (returning.what, Int(clamping: size)) : nil
            case .body(_, let part):
                guard let returning, part.count <= returning.missing else { throw Self.unasked("a payload") }
                let missing = returning.missing - part.count
                self.returning = missing > 0 ? (returning.what, missing) : nil
            }
        }

        private static func unasked(_ what: String) -> RabbitMQError {
            RabbitMQError(.protocolViolation, "\(what) where none is due")
        }

        private func take(_ method: Method, _ wire: Wire, at now: Int64) throws(RabbitMQError) {
            switch method {
            case .channelOpened:
                if !settings.exchange.isEmpty {
                    try wire.findExchange(settings.exchange, Self.channel)
                    enter(.findingExchange, at: now)
                } else {
                    try select(wire, at: now)
                }
            case .exchangeFound: try select(wire, at: now)
            case .confirming, .transactional:
                enter(.ready, at: now)
                nextTag = 1
            case .confirmed(let tag, let isMultiple): current?.window.answered(tag, isMultiple: isMultiple, nil)
            case .nacked(let tag, let isMultiple):
                let error = RabbitMQError(.nacked, "the queue is full, or its node could not write the message")
                current?.window.answered(tag, isMultiple: isMultiple, error)
            case .committed:
                current?.window.committed()
                current?.isCommitting = false
            case .returned(let what): returning = (what, 0)
            case .blocked(let reason):
                isBlocked = true
                logger.warning("the server takes no messages", metadata: [LogKeys.error: "\(reason)"])
            case .unblocked: isBlocked = false
            case .channelClosed(let code, let text):
                // What was published and not confirmed is not known, and the channel is of no use.
                throw .reply(code, text, "the server has closed the channel, \(wire.address)")
            default: break
            }
        }

        private func select(_ wire: Wire, at now: Int64) throws(RabbitMQError) {
            try isTransactional ? wire.selectTransactions(Self.channel) : wire.selectConfirms(Self.channel)
            enter(.selecting, at: now)
        }

        private func giveBack(_ what: Return, _ messageID: [UInt8]?) {
            guard var current else { return }
            self.current = nil
            let batch = current.job.batch
            let error = MessageError(
                .unknownTopic,
                "no queue takes '\(what.routingKey)' from exchange '\(what.exchange)': \(what.code) \(what.text)"
            )
            batch.bytes.withUnsafeBytes { bytes in
                current.window.returned(error) { index in
                    let entry = batch.entries[index]
                    let parts = batch.parts(of: entry, in: bytes)
                    let route = PublishRules.route(of: entry, parts, in: batch, bytes, settings)
                    return route == Route(exchange: what.exchange, routingKey: what.routingKey)
                        && PublishRules.messageID(parts, bytes) == messageID
                }
            }
            self.current = current
        }

        // MARK: The end of a batch, and of a connection

        /// The batch is over: what nothing is known about has failed for this reason.
        private func finish(_ error: (any Error)?) {
            guard var ended = current.take() else { return }
            if let error { ended.window.giveUp(error) }
            desk.answer(ended.job.id, .success(ended.window.failures))
        }

        func disconnected(_ error: RabbitMQError, delay: Int64) {
            stage = .absent
            stageLimit = nil
            isBlocked = false
            waitsForRoom = false
            returning = nil
            finish(error)
            logger.warning("connection lost, made again with the next batch", metadata: [LogKeys.error: "\(error)"])
        }

        /// A server that takes no messages reads nothing else either.
        func sayGoodbye(_ wire: Wire) { if isBlocked || waitsForRoom { wire.abandon() } }

        func end() {
            finish(RabbitMQError(.closed, "the sink was closed"))
            desk.ended()
        }
    }
#endif
