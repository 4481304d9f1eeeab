#if RabbitMQ
    public import Ratchet

    /// A pipeline's subscription to queues of a RabbitMQ server, quorum or classic: opens sessions, each with a connection
    /// of its own that acks by hand, after the ledger has synced.
    ///
    /// ```swift
    /// let orders = try RabbitMQSubscription(to: "orders", at: RabbitMQAddress("amqp://user:secret@host/"), as: "billing")
    /// let billing = Pipeline("billing", from: orders, ledger: ledger, decoding: .json(Order.self), …)
    /// ```
    ///
    /// A queue is read by all of its consumers together, whatever their groups are called: the group names what the ledger
    /// belongs to. A pipeline over a queue needs idempotency keys; consumers with other ledgers do not know them, so route
    /// by id, or consume with one ledger. A message's key is its header `ratchet-key`; its `message-id` property is the
    /// header of that name, other properties are headers likewise (`content-type`, `correlation-id`, …).
    ///
    /// A server closes the channel of a message that is not acked within its `consumer_timeout` (default: 30 min, from the
    /// delivery on): all that was not acked is delivered again, and what is running then runs again once it has ended,
    /// without an effect before. That time has to be longer than the slowest handler takes, and than the handlers take
    /// for as many messages as ``prefetch`` says. A handler that never does it in time comes to an end by the queue's
    /// ``RabbitMQQueue/deliveryLimit`` alone.
    ///
    /// Deliveries that a quorum queue has counted are attempts. It counts all that was prefetched when a consumer ends,
    /// dies or loses its connection, also what no handler had begun: let ``/Ratchet/RetryPolicy/attempts`` be more than
    /// the handler needs by as many of these as a message may wait through. What has used them up is tried once more.
    ///
    /// A stream is not a queue, see ``RabbitMQStreamSubscription``: named here it would deliver nothing of what was sent to it
    /// while nobody consumed.
    public struct RabbitMQSubscription: Source {
        /// The queues, in order.
        public let queues: [String]
        /// What the pipeline's ledger belongs to.
        public let group: String
        /// How many messages a session may have of each queue without having acked them.
        public let prefetch: Int
        /// Where the server is.
        public let address: RabbitMQAddress
        /// How connections are made and kept.
        public let configuration: RabbitMQConfiguration
        /// The server's address, without its user.
        public var cluster: String { address.description }
        /// `rabbitmq`.
        public var system: String { "rabbitmq" }
        /// A queue.
        public var model: SourceModel { .queue }
        /// Its prefetch.
        public var inFlightLimit: Int? { prefetch }

        /// A subscription. Nothing happens before it is opened.
        ///
        /// - Parameters:
        ///   - queues: The queues, which exist when it is opened.
        ///   - address: Where the server is.
        ///   - group: What the pipeline's ledger belongs to.
        ///   - prefetch: How many messages of each queue are in flight at the most, 1 to 65,535. More come each time some
        ///     are acked, whether or not older ones are still running. Each transaction and ack serves as many as have come
        ///     meanwhile: quick handlers come to most with 10,000. From 512 on that are not acked, what comes
        ///     next may wait for 2 ms.
        ///   - configuration: How connections are made and kept.
        /// - Throws: ``RabbitMQError`` with `invalidArgument`.
        public init(
            to queues: String...,
            at address: RabbitMQAddress,
            as group: String,
            prefetch: Int = 1_000,
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) throws(RabbitMQError) {
            try self.init(to: queues, at: address, as: group, prefetch: prefetch, configuration: configuration)
        }

        /// A subscription to several queues.
        public init(
            to queues: [String],
            at address: RabbitMQAddress,
            as group: String,
            prefetch: Int = 1_000,
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) throws(RabbitMQError) {
            guard (1...1_000).contains(queues.count), Set(queues).count == queues.count else {
                throw RabbitMQError(
                    .invalidArgument,
                    "group '\(group)' consumes 1 to 1,000 queues, each once: \(queues)"
                )
            }
            for queue in queues where !(1...255).contains(queue.utf8.count) {
                throw RabbitMQError(.invalidArgument, "a queue's name has 1 to 255 bytes, not \(queue.utf8.count)")
            }
            guard (1...65_535).contains(prefetch) else {
                throw RabbitMQError(.invalidArgument, "prefetch is \(prefetch), it must be 1 to 65,535")
            }
            try configuration.check()
            self.queues = queues
            self.address = address
            self.group = group
            self.prefetch = prefetch
            self.configuration = configuration
        }

        /// Connects and opens a channel of each queue. Throws ``/Ratchet/SourceError`` with `unknownTopic` when a queue
        /// does not exist, ``RabbitMQError`` when the server cannot be reached or refuses.
        public func open() async throws -> any SourceSession {
            let desk = ConsumerDesk()
            try await desk.open {
                ConnectionThread.start(wakeup: desk.wakeup, address: address, configuration: configuration) {
                    [queues, prefetch, configuration] in
                    ConsumerRole(
                        queues: queues,
                        prefetch: UInt16(prefetch),
                        desk: desk,
                        configuration: configuration
                    )
                }
            }
            return RabbitMQSession(desk: desk)
        }
    }
#endif
