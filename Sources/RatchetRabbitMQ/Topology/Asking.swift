#if RabbitMQ
    import LMDB

    /// Questions to a server, and what else waits for others: on threads of their own, so that no task's thread is held up.
    enum Asking {
        /// Runs a closure on a thread that ends with it.
        static func blocking<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
            try await withCheckedThrowingContinuation { continuation in
                Platform.startThread(name: "rabbitmq-ask") { continuation.resume(with: Result(catching: body)) }
            }
        }

        /// Connects, runs `body` and closes the connection.
        static func connected<R: Sendable>(
            to address: RabbitMQAddress,
            _ configuration: RabbitMQConfiguration,
            _ body: @escaping @Sendable (Wire) throws -> R
        ) async throws -> R {
            try configuration.check()
            return try await blocking {
                let wire = try Wire(address, configuration)
                defer { wire.close() }
                try wire.beginAsking()
                return try body(wire)
            }
        }
    }
#endif
