#if RabbitMQ
    import Logging
    import Ratchet

    /// A connection that consumes streams. What goes wrong with one of them begins all anew, with the next connection.
    final class StreamRole: ConnectionRole {
        private struct Consumer {
            let stream: String
            /// The channel, from 2: the first is for questions.
            let number: UInt16
            var identity: ConsumerChannel.Identity?
            /// What is expected of it; nil before it was started.
            var assembly: StreamAssembly?
            /// Whether the server has let it consume.
            var hasConsumed = false
            /// Deliveries that were not acked yet, by the offset of their last message.
            var unacked: [(offset: Int64, tag: UInt64)] = []
        }

        private let desk: ConsumerDesk
        private let configuration: RabbitMQConfiguration
        private let prefetch: UInt16
        private let positions: StreamPositions
        private let emptyAfter: Duration
        private let logger: Logger
        private var consumers: [Consumer]
        private var isConnected = false
        private var hasOpened = false
        private var isFailed = false
        /// Until when an opening that is refused is tried again: for a moment a server that was just started has no stream
        /// within reach.
        private let openLimit: Int64

        init(
            streams: [String],
            prefetch: UInt16,
            positions: StreamPositions,
            emptyAfter: Duration,
            desk: ConsumerDesk,
            configuration: RabbitMQConfiguration
        ) {
            self.desk = desk
            self.configuration = configuration
            self.prefetch = prefetch
            self.positions = positions
            self.emptyAfter = emptyAfter
            logger = configuration.logger
            openLimit = configuration.time.monotonic() + configuration.timeout.nanoseconds
            consumers = streams.enumerated().map { Consumer(stream: $1, number: UInt16($0 + 2)) }
        }

        var wantsConnection: Bool { !isOver }
        var isOver: Bool { isFailed || desk.isClosed }
        var isEstablished: Bool { consumers.contains { $0.hasConsumed } }
        var hasPlenty: Bool { false }
        var waitsForRoom: Bool { false }
        var deadline: Int64? { nil }

        // MARK: What is to be done

        func work(_ wire: Wire?, at now: Int64) throws(RabbitMQError) -> Bool {
            let requests = desk.takeRequests()
            for index in consumers.indices { deliver(index) }
            guard let wire else { return false }
            if !isConnected {
                try assign(wire)
                isConnected = true
            }
            for request in requests { try perform(request, wire) }
            return false
        }

        /// Asks what each stream holds, and what the group has committed; nothing else comes meanwhile.
        private func assign(_ wire: Wire) throws(RabbitMQError) {
            try wire.beginAsking()
            let streams = consumers.map(\.stream)
            var found: [StreamPositions.Position?] = []
            for stream in streams {
                guard try wire.hasQueue(stream) else {
                    throw RabbitMQError(.notFound, "there is no stream '\(stream)', \(wire.address)")
                }
                found.append(try positions.read(of: stream, wire))
            }
            let logs = try wire.offsets(of: streams, emptyAfter: emptyAfter, configuration)
            for (index, stream) in streams.enumerated() {
                // Asked again: what is found missing may have been in another reader's hands.
                if found[index] == nil { found[index] = try positions.read(of: stream, wire) }
                let position = found[index]
                let generation = try nextGeneration(of: stream, position, wire)
                let identity = ConsumerChannel.Identity(partition: TopicPartition(stream, 0), generation: generation)
                consumers[index].identity = identity
                desk.assigned(identity, log: logs[index], committed: position?.committed)
            }
            guard !hasOpened else { return }
            hasOpened = true
            desk.opened()
        }

        /// Above the one before, whatever this machine's clock says: it is kept beside the position.
        private func nextGeneration(
            of stream: String,
            _ position: StreamPositions.Position?,
            _ wire: Wire
        ) throws(RabbitMQError) -> Int64 {
            let wall = configuration.time.wall()
            guard var position else { return ChannelNumbers.next(of: stream, wall: wall).generation }
            position.generation = ChannelNumbers.next(of: stream, wall: wall, after: position.generation).generation
            try positions.write(position, of: stream, wire, within: configuration.timeout)
            return position.generation
        }

        private func perform(_ request: ConsumerDesk.Request, _ wire: Wire) throws(RabbitMQError) {
            switch request {
            case .start(let identity, let offset):
                // Gone meanwhile: the session is told so.
                guard let index = consumers.firstIndex(where: { $0.identity == identity }) else { return }
                try start(index, at: offset, wire)
            case .taken(let identity, let offset):
                guard let index = consumers.firstIndex(where: { $0.identity == identity }) else { return }
                try ack(index, through: offset, wire)
            case .settle(let settlement):
                let error = SourceError(
                    .invalidArgument,
                    "a stream's messages are not acked: its position is committed"
                )
                settlement.continuation.resume(throwing: error)
            }
        }

        private func start(_ index: Int, at offset: Int64, _ wire: Wire) throws(RabbitMQError) {
            let consumer = consumers[index]
            if consumer.assembly != nil {
                // Elsewhere than before: what is on its way would be taken for what is wanted now.
                throw RabbitMQError(.disconnected, "stream '\(consumer.stream)' is begun anew, with another connection")
            }
            consumers[index].assembly = StreamAssembly(from: offset, maximumSize: configuration.maximumMessageSize)
            try wire.openChannel(consumer.number)
            try wire.setPrefetch(prefetch, consumer.number)
            try wire.consume(consumer.stream, from: .number(offset), as: "ratchet", consumer.number)
        }

        /// What the pipeline has taken makes room for more.
        private func ack(_ index: Int, through offset: Int64, _ wire: Wire) throws(RabbitMQError) {
            guard let last = consumers[index].unacked.lastIndex(where: { $0.offset <= offset }) else { return }
            let tag = consumers[index].unacked[last].tag
            consumers[index].unacked.removeSubrange(...last)
            try wire.ack(Int64(clamping: tag), isMultiple: true, consumers[index].number)
        }

        // MARK: What the server says

        func take(_ frame: Frame, _ wire: Wire, at now: Int64) throws(RabbitMQError) {
            switch frame {
            case .method(let number, .delivered(let tag, _)):
                if let index = index(of: number) { try consumers[index].assembly?.begin(tag: tag) }
            case .header(let number, let size, let properties):
                guard let index = index(of: number) else { return }
                try consumers[index].assembly?.header(size: size, MessageProperties(properties))
                try handOver(index, wire)
            case .body(let number, let part):
                guard let index = index(of: number) else { return }
                try consumers[index].assembly?.body(part)
                try handOver(index, wire)
            case .method(let number, .channelClosed(let code, let text)):
                try wire.confirmClosed(number)
                throw .reply(code, text, "the server has closed the channel of a stream, \(wire.address)")
            case .method(let number, .cancelled):
                guard index(of: number) != nil else { return }
                throw RabbitMQError(.disconnected, "the server has cancelled a consumer, \(wire.address)")
            case .method(let number, .consuming):
                if let index = index(of: number) { consumers[index].hasConsumed = true }
            case .method: return
            }
        }

        private func index(of number: UInt16) -> Int? {
            let index = Int(number) - 2
            return consumers.indices.contains(index) ? index : nil
        }

        private func handOver(_ index: Int, _ wire: Wire) throws(RabbitMQError) {
            if let tag = consumers[index].assembly?.takeDropped() {
                try wire.ack(Int64(clamping: tag), isMultiple: false, consumers[index].number)
            }
            if consumers[index].assembly?.isFull ?? false { deliver(index) }
        }

        private func deliver(_ index: Int) {
            guard let identity = consumers[index].identity else { return }
            while let whole = consumers[index].assembly?.take() {
                consumers[index].unacked.append((whole.chunk.lastOffset, whole.tag))
                desk.deliver(whole.chunk, identity.partition)
            }
        }

        // MARK: The end of a connection

        func disconnected(_ error: RabbitMQError, delay: Int64) {
            for index in consumers.indices {
                if let identity = consumers[index].identity { desk.lost(identity.partition) }
                consumers[index].identity = nil
                consumers[index].assembly = nil
                consumers[index].hasConsumed = false
                consumers[index].unacked = []
            }
            isConnected = false
            let isFatal = [.accessRefused, .tooLarge, .invalidAddress, .protocolViolation].contains(error.code)
            let mayOpen = hasOpened || (error.code == .refused && configuration.time.monotonic() < openLimit)
            if !mayOpen || isFatal {
                isFailed = true
                desk.fail(error.code == .notFound ? SourceError(.unknownTopic, error.detail) : error)
            }
            guard !isOver else { return }
            logger.warning(
                "connection lost, made again later",
                metadata: [LogKeys.milliseconds: "\(delay / 1_000_000)", LogKeys.error: "\(error)"]
            )
        }

        func sayGoodbye(_ wire: Wire) {}

        func end() { _ = desk.ended() }
    }
#endif
