import Logging
import Ratchet

#if Kafka
    import RatchetKafka
#endif

/// Where the purchases are.
enum Origin: Sendable {
    /// In an input, which the run publishes to its own broker.
    case input(Input, Repeats)
    /// In a topic of Kafka, to which others publish.
    case kafka(KafkaTopic)
    /// In a queue or a stream of RabbitMQ, to which others publish.
    case rabbitMQ(RabbitMQOrders)
}

/// `kafka://HOST:PORT/TOPIC`.
struct KafkaTopic: Sendable, Hashable {
    let server: String
    let topic: String

    /// Nil for anything else.
    init?(_ address: String) {
        let scheme = "kafka://"
        guard address.hasPrefix(scheme) else { return nil }
        let parts = address.dropFirst(scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty, let colon = parts[0].lastIndex(of: ":"),
            colon != parts[0].startIndex,
            UInt16(parts[0][parts[0].index(after: colon)...]) != nil
        else { return nil }
        (server, topic) = (String(parts[0]), String(parts[1]))
    }

    #if Kafka
        /// Throws ``Failure`` when it cannot be read.
        func reading(_ logger: Logger) async throws -> Reading {
            var configuration = KafkaConfiguration(servers: [server])
            configuration.logger = logger
            let kafka = Kafka(configuration)
            do {
                let source = try await kafka.subscribe(to: topic, as: Billing.group)
                _ = try await kafka.logs(of: topic)
                return Reading(source: source, contents: .log { [topic] in try await kafka.logs(of: topic) })
            } catch {
                throw Failure(.unusable, "topic '\(topic)' of Kafka at \(server): \(error)")
            }
        }
    #else
        /// Throws ``Failure``: this program is without a client of Kafka.
        func reading(_ logger: Logger) async throws -> Reading {
            throw Failure(
                .unusable,
                "built without Kafka: swift run --traits Kafka orders --source kafka://\(server)/\(topic)"
            )
        }
    #endif
}
