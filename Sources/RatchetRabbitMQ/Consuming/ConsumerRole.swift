#if RabbitMQ
    import Logging
    import Ratchet

    /// A connection that consumes: performs what its channels decide, and what its session asks for.
    final class ConsumerRole: ConnectionRole {
        /// So many deliveries in hand take longer than what comes meanwhile can wait.
        private static let plenty = 512

        private let desk: ConsumerDesk
        private let configuration: RabbitMQConfiguration
        private let prefetch: UInt16
        private let logger: Logger
        private var channels: [ConsumerChannel]
        /// Those of the message that comes: one after the other in the same place.
        private var properties = MessageProperties()
        private var settlements = Settlements()
        private var isConnected = false
        private var hasOpened = false
        private var isFailed = false
        /// When the server has to have answered what each channel waits for, and whether it was found late once.
        private var limits: [(time: Int64, isLate: Bool)?]

        init(queues: [String], prefetch: UInt16, desk: ConsumerDesk, configuration: RabbitMQConfiguration) {
            self.desk = desk
            self.configuration = configuration
            self.prefetch = prefetch
            logger = configuration.logger
            limits = queues.map { _ in nil }
            channels = queues.enumerated().map { index, queue in
                ConsumerChannel(
                    number: UInt16(index + 1),
                    queue: queue,
                    maximumSize: configuration.maximumMessageSize
                )
            }
        }

        var wantsConnection: Bool { !isOver }
        var isOver: Bool { isFailed || desk.isClosed }
        var isEstablished: Bool { channels.contains { $0.hasConsumed } }
        var hasPlenty: Bool { channels.contains { $0.unacked.count >= Self.plenty } }
        var waitsForRoom: Bool { false }
        /// Without a connection no channel is due.
        var deadline: Int64? {
            isConnected ? (channels.compactMap(\.due) + limits.compactMap { $0?.time }).min() : nil
        }

        // MARK: What the server says

        func take(_ frame: Frame, _ wire: Wire, at now: Int64) throws(RabbitMQError) {
            switch frame {
            case .method(let number, .delivered(let tag, let isRedelivered)):
                guard let index = index(of: number) else { return }
                try channels[index].assembly.begin(tag: tag, isRedelivered: isRedelivered)
            case .header(let number, let size, let properties):
                guard let index = index(of: number) else { return }
                self.properties.read(properties)
                try whole(
                    channels[index].assembly.header(size: size, self.properties, now: configuration.time.wall()),
                    index
                )
            case .body(let number, let part):
                guard let index = index(of: number) else { return }
                try whole(channels[index].assembly.body(part), index)
            case .method(let number, let method):
                guard let index = index(of: number) else { return }
                let actions = channels[index].handle(method, at: now, delay: configuration.delay)
                try perform(actions, index, wire, at: now)
            }
        }

        private func index(of number: UInt16) -> Int? {
            let index = Int(number) - 1
            return channels.indices.contains(index) ? index : nil
        }

        private func whole(_ isWhole: Bool, _ index: Int) {
            guard isWhole else { return }
            channels[index].unacked.deliver()
            if channels[index].assembly.isFull { deliver(index) }
        }

        private func deliver(_ index: Int) {
            guard let chunk = channels[index].assembly.take(), let identity = channels[index].identity else { return }
            desk.deliver(chunk, identity.partition)
        }

        // MARK: What is to be done

        func work(_ wire: Wire?, at now: Int64) throws(RabbitMQError) -> Bool {
            let requests = desk.takeRequests()
            for index in channels.indices { deliver(index) }
            isConnected = wire != nil
            guard let wire else {
                for request in requests { refuse(request) }
                return false
            }
            var (taken, hasMore) = (0, false)
            do throws(RabbitMQError) {
                for index in channels.indices {
                    try perform(channels[index].open(at: now), index, wire, at: now)
                }
                for request in requests {
                    taken += 1
                    try perform(request, wire, at: now)
                }
                for index in channels.indices where try checkAnswer(index, at: now) { hasMore = true }
            } catch {
                // Nobody else knows of them any more.
                for request in requests[taken...] { refuse(request) }
                throw error
            }
            return hasMore
        }

        /// A server that does not answer a channel is as good as gone, whatever it answers others: throws. Returns true
        /// the first time that it is late: the answer may have come and only have to be read.
        private func checkAnswer(_ index: Int, at now: Int64) throws(RabbitMQError) -> Bool {
            guard channels[index].awaitsAnswer || settlements.areOpen(channel: index) else {
                limits[index] = nil
                return false
            }
            let timeout = configuration.timeout
            let limit = limits[index] ?? (now + timeout.nanoseconds, false)
            limits[index] = (limit.time, now >= limit.time)
            guard limit.isLate else { return now >= limit.time }
            let queue = channels[index].queue
            throw RabbitMQError(.timedOut, "the server has not answered for '\(queue)' within \(timeout)")
        }

        private func perform(
            _ actions: [ConsumerChannel.Action],
            _ index: Int,
            _ wire: Wire,
            at now: Int64
        ) throws(RabbitMQError) {
            let number = channels[index].number
            if !actions.isEmpty { limits[index] = nil }
            for action in actions {
                switch action {
                case .open: try wire.openChannel(number)
                case .findQueue: try wire.findQueue(channels[index].queue, number)
                case .setPrefetch: try wire.setPrefetch(prefetch, number)
                case .assign: assign(index)
                case .consume: try wire.consume(channels[index].queue, as: Self.consumerTag, number)
                case .leave: try wire.closeChannel(number)
                case .confirmClosed: try wire.confirmClosed(number)
                case .lose(let identity, let failure): lose(index, identity, failure)
                case .passed: settlements.passed(channel: index)
                }
            }
        }

        /// Unique within a channel, which has one consumer.
        private static let consumerTag = "ratchet"

        private func assign(_ index: Int) {
            let identity = ChannelNumbers.next(of: channels[index].queue, wall: configuration.time.wall())
            channels[index].identity = identity
            desk.assigned(identity)
            if !hasOpened, channels.allSatisfy(\.isAssigned) {
                hasOpened = true
                desk.opened()
            }
        }

        private func lose(_ index: Int, _ identity: ConsumerChannel.Identity?, _ failure: ConsumerChannel.Failure) {
            let queue = channels[index].queue
            settlements.lost(channel: index, Self.fenced(queue))
            logger.warning(
                "\(failure.summary)",
                metadata: [LogKeys.topic: "\(queue)", LogKeys.error: "\(failure.code) \(failure.text)"]
            )
            if let identity { desk.lost(identity.partition) }
            guard !hasOpened else { return }
            isFailed = true
            let what = "queue '\(queue)' cannot be consumed"
            desk.fail(failure.error(what))
        }

        private static func fenced(_ queue: String) -> SourceError {
            SourceError(.fenced, "a channel of '\(queue)' is gone: the server gives its messages to others")
        }

        // MARK: What the session asks for

        private func perform(_ request: ConsumerDesk.Request, _ wire: Wire, at now: Int64) throws(RabbitMQError) {
            switch request {
            case .start(let identity, _):
                // Gone meanwhile: the session is told so.
                guard let index = channels.firstIndex(where: { $0.identity == identity }) else { return }
                try perform(channels[index].start(), index, wire, at: now)
            case .settle(let settlement): try settle(settlement, wire)
            // Of a queue what is taken is acked later.
            case .taken: return
            }
        }

        private func refuse(_ request: ConsumerDesk.Request) {
            guard case .settle(let settlement) = request else { return }
            let queue = settlement.answers.first?.partition.topic ?? ""
            settlement.continuation.resume(throwing: Self.fenced(queue))
        }

        /// Answers all or none. Whether the server has them is known when it has answered what was sent behind them.
        private func settle(_ settlement: ConsumerDesk.Settlement, _ wire: Wire) throws(RabbitMQError) {
            var places: [Int] = []
            for answer in settlement.answers {
                let identity = ConsumerChannel.Identity(partition: answer.partition, generation: answer.generation)
                guard let index = channels.firstIndex(where: { $0.identity == identity && $0.isAssigned }) else {
                    return refuse(.settle(settlement))
                }
                guard channels[index].unacked.hasDelivered(through: answer.through, answer.tags) else {
                    return settlement.continuation.resume(
                        throwing: SourceError(.invalidArgument, "a tag of \(answer.partition) was never delivered")
                    )
                }
                places.append(index)
            }
            // Known before anything is sent: if that fails, it is lost with the channels.
            settlements.begin(settlement.continuation, channels: places)
            for (answer, index) in zip(settlement.answers, places) {
                let plan = channels[index].unacked.answer(through: answer.through, tags: answer.tags)
                try send(plan, settlement.kind, channels[index].number, wire)
                try wire.setPrefetch(prefetch, channels[index].number)
            }
        }

        private func send(
            _ answer: UnackedTags.Answer,
            _ kind: ConsumerDesk.Settlement.Kind,
            _ channel: UInt16,
            _ wire: Wire
        ) throws(RabbitMQError) {
            let parts = [answer.through].compactMap { $0 }.map { ($0, true) } + answer.tags.map { ($0, false) }
            for (tag, isMultiple) in parts {
                switch kind {
                case .ack: try wire.ack(tag, isMultiple: isMultiple, channel)
                case .requeue, .drop:
                    try wire.nack(tag, isMultiple: isMultiple, requeue: kind == .requeue, channel)
                }
            }
        }

        // MARK: The end of a connection

        func disconnected(_ error: RabbitMQError, delay: Int64) {
            for index in channels.indices {
                settlements.lost(channel: index, Self.fenced(channels[index].queue))
                if channels[index].isAssigned, let identity = channels[index].identity {
                    desk.lost(identity.partition)
                }
                channels[index].disconnect()
            }
            limits = limits.map { _ in nil }
            isConnected = false
            let isFatal = [.accessRefused, .tooLarge, .invalidAddress, .protocolViolation].contains(error.code)
            if !hasOpened || isFatal {
                isFailed = true
                desk.fail(error)
            }
            logger.warning(
                "connection lost, made again later",
                metadata: [LogKeys.milliseconds: "\(delay / 1_000_000)", LogKeys.error: "\(error)"]
            )
        }

        /// What was not acked goes back at once, in its order. A quorum queue counts it as delivered however it goes back:
        /// no consumer can say that it has begun nothing of it.
        func sayGoodbye(_ wire: Wire) {
            for channel in channels where channel.stage == .consuming {
                do throws(RabbitMQError) {
                    try wire.cancel(Self.consumerTag, channel.number)
                    if let last = channel.unacked.last {
                        try wire.nack(last, isMultiple: true, requeue: true, channel.number)
                    }
                } catch {
                    // The server gives back what a lost connection had.
                    return
                }
            }
        }

        func end() {
            for index in channels.indices { settlements.lost(channel: index, Self.fenced(channels[index].queue)) }
            for request in desk.ended() { refuse(request) }
        }
    }
#endif
