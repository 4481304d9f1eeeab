import InMemoryTracing
import MetricsTestKit
import Testing
import Tracing

@testable import Ratchet

@Suite("Telemetry", .timeLimit(.minutes(30)))
struct TelemetryTests {
    private struct Poison: Error {}

    @Test("What becomes of messages is counted under OpenTelemetry's names", arguments: PipelineBench.Kind.allCases)
    func counters(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let metrics = TestMetrics()
        var configuration = PipelineBench.configuration
        configuration.metrics = metrics
        configuration.retries = .never()
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, _ in
            if message.text == "poison" { throw Poison() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([
                SampleMessage(0, key: "a", id: "1", "paid"), SampleMessage(1, key: "a", id: "1", "paid"),
                SampleMessage(2, key: "b", id: "2", "poison"),
            ])
            await pipeline.settled(through: [.orders: 3])
        }
        #expect(error == nil)
        #expect(metrics.counterTotal(label: "messaging.client.consumed.messages") == 3)
        func total(_ outcome: String) -> Int64 {
            metrics.counters(label: "ratchet.pipeline.messages")
                .filter { $0.dimensions.contains { $0 == ("ratchet.outcome", outcome) } }
                .reduce(0) { $0 + $1.totalValue }
        }
        #expect(total("processed") == 1)
        #expect(total("duplicate") == 1)
        #expect(total("dead_lettered") == 1)
        let consumed = try #require(metrics.counters(label: "messaging.client.consumed.messages").first)
        #expect(consumed.dimensions.contains { $0 == ("messaging.consumer.group.name", "billing") })
        #expect(consumed.dimensions.contains { $0 == ("messaging.operation.name", "process") })
    }

    @Test(
        "Each message's processing is a span that names it, and holds nothing of its content",
        arguments: PipelineBench.Kind.allCases
    )
    func spans(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let tracer = InMemoryTracer()
        var configuration = PipelineBench.configuration
        configuration.tracer = tracer
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { _, _ in }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([SampleMessage(0, key: "a", id: "1", "paid")])
            await pipeline.settled(through: [.orders: 1])
        }
        #expect(error == nil)
        let span = try #require(tracer.finishedSpans.first)
        #expect(tracer.finishedSpans.count == 1)
        #expect(span.operationName == "process orders")
        #expect(span.kind == .consumer)
        #expect(span.attributes.get("messaging.destination.name") == .string("orders"))
        #expect(span.attributes.get("messaging.operation.name") == .string("process"))
        #expect(span.attributes.get("messaging.consumer.group.name") == .string("billing"))
        #expect(span.attributes.get("messaging.kafka.offset") == .int64(0))
        var values: [String] = []
        span.attributes.forEach { values.append("\($0)=\($1)") }
        #expect(!values.contains { $0.contains("paid") })
    }
}
