import Tracing

/// The span of one message's processing, with OpenTelemetry's messaging names; nothing of it is made when no tracer is
/// set.
struct ProcessSpan: Sendable {
    private let system: String
    private let group: String
    private let tracer: any Tracer
    let isTraced: Bool

    init(system: String, group: String, tracer: any Tracer) {
        self.system = system
        self.group = group
        self.tracer = tracer
        isTraced = !(tracer is NoOpTracer)
    }

    /// Runs `body` in a span that continues the trace in the message's headers.
    func around<R>(_ message: Message, attempt: Int, _ body: () async throws -> R) async throws -> R {
        guard isTraced else { return try await body() }
        var context = ServiceContext.current ?? .topLevel
        tracer.extract(message, into: &context, using: HeaderExtractor())
        return try await tracer.withAnySpan("process \(message.topic)", context: context, ofKind: .consumer) { span in
            set(message, attempt, span)
            return try await body()
        }
    }

    /// As above, for a handler that does not suspend.
    func around<R>(_ message: Message, attempt: Int, _ body: () throws -> R) throws -> R {
        guard isTraced else { return try body() }
        var context = ServiceContext.current ?? .topLevel
        tracer.extract(message, into: &context, using: HeaderExtractor())
        return try tracer.withAnySpan("process \(message.topic)", context: context, ofKind: .consumer) { span in
            set(message, attempt, span)
            return try body()
        }
    }

    // The payload, the key and headers stay out: spans leave the house.
    private func set(_ message: Message, _ attempt: Int, _ span: any Span) {
        span.attributes["messaging.system"] = system
        span.attributes["messaging.operation.name"] = "process"
        span.attributes["messaging.operation.type"] = "process"
        span.attributes["messaging.destination.name"] = message.topic
        span.attributes["messaging.destination.partition.id"] = "\(message.partition)"
        span.attributes["messaging.consumer.group.name"] = group
        span.attributes["messaging.kafka.offset"] = message.offset
        span.attributes["ratchet.attempt"] = attempt
    }
}

private struct HeaderExtractor: Extractor {
    func extract(key: String, from carrier: Message) -> String? {
        carrier.header(key).map { String(decoding: $0, as: UTF8.self) }
    }
}
