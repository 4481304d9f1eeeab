#if RabbitMQ
    /// Queues and exchanges as a pipeline needs them: durable, with a place for what is given up.
    ///
    /// ```swift
    /// var topology = RabbitMQTopology()
    /// topology.add(RabbitMQQueue("orders"), deadLetters: "orders.dead")
    /// try await topology.declare(at: address)
    /// ```
    public struct RabbitMQTopology: Sendable, Hashable {
        /// The exchanges, made first.
        public var exchanges: [RabbitMQExchange] = []
        /// The queues.
        public var queues: [RabbitMQQueue] = []
        /// Which queue an exchange feeds, made last.
        public var bindings: [RabbitMQBinding] = []

        /// Nothing.
        public init() {}

        /// Adds a queue, and if `deadLetters` is given a durable exchange of that name with a quorum queue of that name
        /// behind it: what is nacked without requeue, or delivered too often, goes there instead of away.
        public mutating func add(_ queue: RabbitMQQueue, deadLetters: String? = nil) {
            var queue = queue
            if let deadLetters {
                queue.deadLetterExchange = deadLetters
                exchanges.append(RabbitMQExchange(deadLetters, kind: .fanout))
                queues.append(RabbitMQQueue(deadLetters))
                bindings.append(RabbitMQBinding(queue: deadLetters, exchange: deadLetters))
            }
            queues.append(queue)
        }

        /// Makes what is missing, and compares what is there: nothing that exists is changed.
        ///
        /// Throws ``RabbitMQError``: `mismatch`, which names what differs, at the first exchange or queue that is there
        /// with other settings; what came before it has been made. Call it again as often as you like.
        public func declare(
            at address: RabbitMQAddress,
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) async throws {
            try check()
            try await Asking.connected(to: address, configuration) { wire in
                for exchange in exchanges {
                    try wire.declareExchange(exchange.name, exchange.kind.rawValue, exchange.arguments)
                }
                for queue in queues { try wire.declareQueue(queue.name, isDurable: true, queue.arguments) }
                for binding in bindings {
                    try wire.bind(binding.queue, to: binding.exchange, by: binding.routingKey)
                }
            }
        }

        /// What is missing: the names of exchanges and queues that are not there; makes none. What is there is compared.
        ///
        /// Throws ``RabbitMQError`` with `mismatch`, as ``declare(at:configuration:)`` does. Bindings cannot be asked for.
        public func missing(
            at address: RabbitMQAddress,
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) async throws -> [String] {
            try check()
            return try await Asking.connected(to: address, configuration) { wire in
                var missing: [String] = []
                for exchange in exchanges {
                    if try wire.hasExchange(exchange.name) {
                        try wire.declareExchange(exchange.name, exchange.kind.rawValue, exchange.arguments)
                    } else {
                        missing.append(exchange.name)
                    }
                }
                for queue in queues {
                    if try wire.hasQueue(queue.name) {
                        try wire.declareQueue(queue.name, isDurable: true, queue.arguments)
                    } else {
                        missing.append(queue.name)
                    }
                }
                return missing
            }
        }

        private func check() throws(RabbitMQError) {
            for name in exchanges.map(\.name) + queues.map(\.name) where !(1...255).contains(name.utf8.count) {
                throw RabbitMQError(.invalidArgument, "a name has 1 to 255 bytes, not \(name.utf8.count)")
            }
            for queue in queues { try queue.check() }
        }
    }

    /// A durable queue.
    public struct RabbitMQQueue: Sendable, Hashable {
        /// How the server keeps it.
        public enum Kind: String, Sendable, Hashable {
            /// Replicated by consensus: a message is confirmed once most nodes have synced it, and deliveries are counted.
            case quorum
            /// On one node.
            case classic
            /// A log: messages stay when they are done, for ``RabbitMQStreamSubscription``. Confirmed once most nodes have
            /// written a message, but not synced it: a loss of power of these nodes, or of the only one, can lose it.
            case stream
        }

        /// What a full queue does.
        public enum Overflow: String, Sendable, Hashable {
            /// Lets the oldest message go, without a word to anybody: into the dead-letter exchange if there is one.
            case dropHead = "drop-head"
            /// Refuses the new one: the producer's confirm is a nack.
            case rejectPublish = "reject-publish"
        }

        /// Its name, 1 to 255 bytes.
        public var name: String
        /// How it is kept. Default: quorum.
        public var kind: Kind
        /// Where messages go that are nacked without requeue, expire, or are delivered too often; nil for nowhere.
        public var deadLetterExchange: String?
        /// The routing key that they go there under; nil for the one they had.
        public var deadLetterRoutingKey: String?
        /// How many messages it holds, 1 or more; nil for any number.
        public var maximumLength: Int?
        /// What happens beyond that. Default: the new message is refused.
        public var overflow = Overflow.rejectPublish
        /// How many bytes a stream keeps, about; nil for all. Beyond that its oldest messages go, whether or not they were
        /// consumed: the server removes files of 500 MB as a whole, so let it be several of these.
        public var maximumBytes: Int?
        /// How often a quorum queue delivers a message again before it gives it up, 1 or more; nil for ever. Needs a
        /// ``deadLetterExchange``: what is given up is lost without one.
        ///
        /// What a consumer had taken and not acked counts each time that it is closed, dies or loses its connection, also
        /// what no handler has begun: shutdowns use the deliveries up. Let it be far above the pipeline's attempts and the
        /// shutdowns that a message may wait through.
        public var deliveryLimit: Int?
        /// Whether one consumer at a time gets all messages: those of a key meet in one ledger. Default: false.
        public var hasSingleActiveConsumer = false

        /// A durable queue.
        public init(_ name: String, kind: Kind = .quorum) {
            self.name = name
            self.kind = kind
        }

        func check() throws(RabbitMQError) {
            guard (maximumLength ?? 1) > 0, (deliveryLimit ?? 1) > 0 else {
                throw RabbitMQError(.invalidArgument, "queue '\(name)': maximumLength and deliveryLimit are 1 or more")
            }
            guard (maximumBytes ?? 1) > 0, maximumBytes == nil || kind == .stream else {
                throw RabbitMQError(.invalidArgument, "queue '\(name)': maximumBytes is 1 or more, and of a stream")
            }
            guard kind != .stream || (deadLetterExchange == nil && maximumLength == nil && !hasSingleActiveConsumer)
            else {
                throw RabbitMQError(
                    .invalidArgument,
                    "stream '\(name)': it has no deadLetterExchange, maximumLength or single active consumer"
                )
            }
            guard deliveryLimit == nil || kind == .quorum else {
                throw RabbitMQError(.invalidArgument, "queue '\(name)': only a quorum queue has a deliveryLimit")
            }
            guard deliveryLimit == nil || deadLetterExchange != nil else {
                throw RabbitMQError(
                    .invalidArgument,
                    "queue '\(name)': a deliveryLimit without a deadLetterExchange: messages beyond it would be lost"
                )
            }
        }

        var arguments: FieldTable {
            var table = FieldTable()
            table.append("x-queue-type", text: kind.rawValue)
            if let deadLetterExchange { table.append("x-dead-letter-exchange", text: deadLetterExchange) }
            if let deadLetterRoutingKey { table.append("x-dead-letter-routing-key", text: deadLetterRoutingKey) }
            if let maximumLength {
                table.append("x-max-length", .number(Int64(maximumLength)))
                table.append("x-overflow", text: overflow.rawValue)
            }
            if let maximumBytes { table.append("x-max-length-bytes", .number(Int64(maximumBytes))) }
            if let deliveryLimit { table.append("x-delivery-limit", .number(Int64(deliveryLimit))) }
            if hasSingleActiveConsumer { table.append("x-single-active-consumer", .flag(true)) }
            return table
        }
    }

    /// A durable exchange.
    public struct RabbitMQExchange: Sendable, Hashable {
        /// How it routes.
        public enum Kind: String, Sendable, Hashable {
            /// By the whole routing key.
            case direct
            /// To all that are bound.
            case fanout
            /// By patterns of the routing key.
            case topic
            /// By a hash of the routing key: all messages of a key go to the same queue, for as long as the bindings stay as they
            /// are. A binding's own routing key is how many shares of the keys its queue gets: `1`. The server needs the plugin
            /// `rabbitmq_consistent_hash_exchange`.
            case consistentHash = "x-consistent-hash"
        }

        /// Its name, 1 to 255 bytes.
        public var name: String
        /// How it routes.
        public var kind: Kind
        /// Where messages go that no queue takes; nil for nowhere.
        public var alternateExchange: String?

        /// A durable exchange.
        public init(_ name: String, kind: Kind = .direct, alternateExchange: String? = nil) {
            self.name = name
            self.kind = kind
            self.alternateExchange = alternateExchange
        }

        var arguments: FieldTable {
            var table = FieldTable()
            if let alternateExchange { table.append("alternate-exchange", text: alternateExchange) }
            return table
        }
    }

    /// An exchange that feeds a queue.
    public struct RabbitMQBinding: Sendable, Hashable {
        /// The queue.
        public var queue: String
        /// The exchange.
        public var exchange: String
        /// Which messages, as the exchange's kind understands it.
        public var routingKey: String

        /// A binding.
        public init(queue: String, exchange: String, routingKey: String = "") {
            self.queue = queue
            self.exchange = exchange
            self.routingKey = routingKey
        }
    }
#endif
