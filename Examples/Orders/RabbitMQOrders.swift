import Logging
import Ratchet

#if RabbitMQ
    import RatchetRabbitMQ
#endif

/// `amqp://HOST:PORT/VHOST/QUEUE`, or `amqps`. Nothing that shows it has the password.
struct RabbitMQOrders: Sendable {
    #if RabbitMQ
        private let address: RabbitMQAddress
        private let queue: String

        /// Nil for anything else.
        init?(_ url: String) {
            guard let (address, queue) = try? RabbitMQAddress.withQueue(url) else { return nil }
            (self.address, self.queue) = (address, queue)
        }

        /// Throws ``Failure`` when it cannot be read.
        func reading(_ logger: Logger) async throws -> Reading {
            let configuration = Self.configuration(logger)
            do {
                let source = try RabbitMQSubscription(
                    to: queue,
                    at: address,
                    as: Billing.group,
                    configuration: configuration
                )
                _ = try await RabbitMQBacklog.of(queue, at: address, configuration: configuration)
                return Reading(
                    source: source,
                    contents: .queue { [address, queue] in
                        let backlog = try await RabbitMQBacklog.of(queue, at: address, configuration: configuration)
                        return QueueBacklog(waiting: backlog.waiting, consumers: backlog.consumers)
                    }
                )
            } catch {
                throw Failure(.unusable, "queue '\(queue)' of RabbitMQ at \(address): \(error)")
            }
        }

        private static func configuration(_ logger: Logger) -> RabbitMQConfiguration {
            var configuration = RabbitMQConfiguration()
            configuration.logger = logger
            configuration.connectionName = "orders"
            // Somebody waits for the end of this program.
            configuration.reconnecting = RetryPolicy(initialDelay: .milliseconds(100), maximumDelay: .seconds(2))
            return configuration
        }
    #else
        /// Nil for anything else.
        init?(_ url: String) {
            guard url.hasPrefix("amqp://") || url.hasPrefix("amqps://") else { return nil }
        }

        /// Throws ``Failure``: this program is without a client of RabbitMQ.
        func reading(_ logger: Logger) async throws -> Reading {
            throw Failure(.unusable, "built without RabbitMQ: swift run --traits RabbitMQ orders --source amqp://…")
        }
    #endif
}
