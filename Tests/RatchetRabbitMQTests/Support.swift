#if RabbitMQ
    import Logging
    import Ratchet
    import RatchetRabbitMQ
    import Testing

    /// All that needs a server: one after the other, as some have it killed.
    @Suite(.serialized, .timeLimit(.minutes(30))) struct RabbitMQ {}

    extension RabbitMQConfiguration {
        /// Quick to notice and to come back, and says nothing.
        static var quick: RabbitMQConfiguration {
            var configuration = RabbitMQConfiguration()
            configuration.heartbeat = .seconds(5)
            configuration.timeout = .seconds(30)
            configuration.reconnecting = RetryPolicy(initialDelay: .milliseconds(20), maximumDelay: .milliseconds(500))
            configuration.logger = .silent
            return configuration
        }
    }

    extension Logger {
        static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    }

    extension RabbitMQSinkSettings {
        static func with(_ change: (inout RabbitMQSinkSettings) -> Void) -> RabbitMQSinkSettings {
            var settings = RabbitMQSinkSettings()
            change(&settings)
            return settings
        }
    }

    extension OutgoingMessage {
        /// A message that says its number, under an id of its own.
        static func numbered(_ number: Int, to queue: String, keys: Int = 7) -> OutgoingMessage {
            OutgoingMessage(
                to: queue,
                key: "key-\(number % keys)",
                payload: Array("\(number)".utf8),
                headers: [.messageID("id-\(number)")]
            )
        }
    }
#endif
