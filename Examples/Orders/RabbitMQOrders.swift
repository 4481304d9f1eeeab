import Logging
import Ratchet

#if RabbitMQ
    import RatchetRabbitMQ
#endif

/// `amqp://HOST:PORT/VHOST/QUEUE`, or `amqps`. Nothing that shows it has the password.
struct RabbitMQOrders: Sendable {
    /// Whether it is a stream: the protocol has no way to ask.
    let isStream: Bool

    #if RabbitMQ
        private let address: RabbitMQAddress
        private let queue: String

        /// Nil for anything else.
        init?(_ url: String, isStream: Bool) {
            guard let (address, queue) = try? RabbitMQAddress.withQueue(url) else { return nil }
            (self.address, self.queue, self.isStream) = (address, queue, isStream)
        }

        /// Throws ``Failure`` when it cannot be read.
        func reading(_ logger: Logger) async throws -> Reading {
            let configuration = Self.configuration(logger)
            do {
                return try await isStream ? readingStream(configuration) : readingQueue(configuration)
            } catch {
                throw Failure(
                    .unusable,
                    "\(isStream ? "stream" : "queue") '\(queue)' of RabbitMQ at \(address): \(error)"
                )
            }
        }

        private func readingQueue(_ configuration: RabbitMQConfiguration) async throws -> Reading {
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
        }

        private func readingStream(_ configuration: RabbitMQConfiguration) async throws -> Reading {
            let source = try RabbitMQStreamSubscription(
                to: queue,
                at: address,
                as: Billing.group,
                configuration: configuration
            )
            _ = try await source.logs()
            return Reading(source: source, contents: .log { try await source.logs() })
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
        init?(_ url: String, isStream: Bool) {
            guard url.hasPrefix("amqp://") || url.hasPrefix("amqps://") else { return nil }
            self.isStream = isStream
        }

        /// Throws ``Failure``: this program is without a client of RabbitMQ.
        func reading(_ logger: Logger) async throws -> Reading {
            throw Failure(.unusable, "built without RabbitMQ: swift run --traits RabbitMQ orders --source amqp://…")
        }
    #endif
}
