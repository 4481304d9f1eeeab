#if RabbitMQ
    public import Logging
    public import Ratchet

    /// How connections to RabbitMQ are made and kept. Everything has a default and a bound.
    public struct RabbitMQConfiguration: Sendable {
        /// How often each side says that it is alive, 1 to 600 s; after twice that in silence a connection is lost. Kept
        /// by the connection's own thread, however slow handlers are. Default: 10 s.
        public var heartbeat: Duration = .seconds(10)
        /// How long connecting may take, and each answer without which nothing goes on, 1 ms or more. Default: 10 s.
        public var timeout: Duration = .seconds(10)
        /// When a lost connection or channel is made again: without end, so only the delays count. Default: 100 ms
        /// doubling to 30 s.
        public var reconnecting = RetryPolicy(initialDelay: .milliseconds(100))
        /// The largest message that is taken from a queue, in bytes; one above it ends the session with an error, as
        /// there is no room for it. Default: 64 MiB.
        public var maximumMessageSize = OutgoingBatch.maximumRecordSize
        /// What the server's operators see as the connection's name, up to 255 bytes. Default: `ratchet`.
        public var connectionName = "ratchet"
        /// Where it is reported what is noticed.
        public var logger = Logger(label: "ratchet.rabbitmq")
        /// The clocks: for delays, for generations, and for the time of messages that have none.
        public var time: TimeSource = .system
        /// By which a sink's callers are answered in time while its thread is held up. Default: `ContinuousClock`.
        public var clock: any Clock<Duration> = ContinuousClock()
        /// Random bits for the delays' jitter.
        public var random: @Sendable () -> UInt64 = RandomSource.system

        /// The defaults.
        public init() {}

        func check() throws(RabbitMQError) {
            guard heartbeat >= .seconds(1), heartbeat <= .seconds(600) else {
                throw RabbitMQError(.invalidArgument, "heartbeat is \(heartbeat), it must be 1 to 600 s")
            }
            guard timeout >= .milliseconds(1) else {
                throw RabbitMQError(.invalidArgument, "timeout is \(timeout), it must be 1 ms or more")
            }
            guard (1...OutgoingBatch.maximumRecordSize).contains(maximumMessageSize) else {
                throw RabbitMQError(
                    .invalidArgument,
                    "maximumMessageSize is \(maximumMessageSize), it must be 1 to \(OutgoingBatch.maximumRecordSize)"
                )
            }
            guard connectionName.utf8.count <= 255 else {
                throw RabbitMQError(.invalidArgument, "connectionName has more than 255 bytes")
            }
        }

        /// Nanoseconds to wait after so many failures in a row.
        func delay(after failures: Int) -> Int64 {
            let random = Double(random() >> 11) / Double(1 << 53)
            return reconnecting.delay(afterAttempt: max(1, failures), random: random).nanoseconds
        }
    }
#endif
