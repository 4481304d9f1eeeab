#if RabbitMQ
    /// How a sink sends. Everything has a default and a bound.
    public struct RabbitMQSinkSettings: Sendable, Hashable {
        /// Where messages go.
        public enum Routing: Sendable, Hashable {
            /// To the queue that the topic names.
            case queue
            /// To one exchange, which routes them by the topic.
            case exchange(String)
            /// To one exchange, which routes them by their key, as a consistent-hash exchange does: all of a key go one way.
            case exchangeByKey(String)
        }

        /// How the server says that it has written messages.
        public enum Confirmation: Sendable, Hashable {
            /// Each message by a publisher confirm, many at once on their way.
            case confirms
            /// All messages of a batch by one transaction: slower, all or none.
            case transactions
        }

        /// Where messages go. Default: to the queue that the topic names.
        public var routing = Routing.queue
        /// How the server says that it has them. Default: publisher confirms.
        public var confirmation = Confirmation.confirms
        /// How many messages may be published and not confirmed, 1 to 65,535. Default: 1,000.
        public var window = 1_000
        /// How long a batch may take, its waiting for a connection and for batches before it included; what is not confirmed by then has failed.
        /// Default: 30 s.
        public var timeout: Duration = .seconds(30)

        /// The defaults.
        public init() {}

        func check() throws(RabbitMQError) {
            guard (1...65_535).contains(window), timeout > .zero else {
                throw RabbitMQError(
                    .invalidArgument,
                    "window is \(window), it must be 1 to 65,535; timeout is \(timeout), it must be above zero"
                )
            }
            switch routing {
            case .exchange(let name), .exchangeByKey(let name):
                guard (1...255).contains(name.utf8.count) else {
                    throw RabbitMQError(.invalidArgument, "an exchange's name has 1 to 255 bytes")
                }
            case .queue: break
            }
        }

        /// The exchange, empty for the server's own, which knows each queue by its name.
        var exchange: String {
            switch routing {
            case .queue: ""
            case .exchange(let name), .exchangeByKey(let name): name
            }
        }
    }
#endif
