#if RabbitMQ
    /// What waits in a queue, and who is there to take it, as the server says it: a number to watch.
    ///
    /// What consumers have taken and not acked yet is not in it. After the server has been started again it says for some
    /// seconds that a queue is empty and has no consumers, until it knows.
    public struct RabbitMQBacklog: Sendable, Hashable {
        /// Messages that wait for a consumer.
        public let waiting: Int
        /// Consumers of the queue, of all processes.
        public let consumers: Int

        /// Asks the server, over a connection for that one question. Throws ``RabbitMQError``: `notFound` when there is no
        /// such queue, or why the server does not answer.
        public static func of(
            _ queue: String,
            at address: RabbitMQAddress,
            configuration: RabbitMQConfiguration = RabbitMQConfiguration()
        ) async throws -> RabbitMQBacklog {
            try await Asking.connected(to: address, configuration) { try $0.backlog(of: queue) }
        }
    }
#endif
