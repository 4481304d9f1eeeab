/// The keys of log metadata, each named once: OpenTelemetry's names where it has one.
package enum LogKeys {
    package static let topic = "messaging.destination.name"
    package static let partition = "messaging.destination.partition.id"
    package static let offset = "messaging.kafka.offset"
    package static let group = "messaging.consumer.group.name"
    package static let messageID = "messaging.message.id"
    package static let attempt = "ratchet.attempt"
    package static let pipeline = "ratchet.pipeline"
    package static let generation = "ratchet.generation"
    package static let error = "error"
    package static let errorType = "error.type"
    package static let count = "ratchet.count"
    package static let milliseconds = "ratchet.milliseconds"
    package static let position = "ratchet.position"
}
