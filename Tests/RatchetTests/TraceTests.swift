import InMemoryTracing
import Synchronization
import Testing
import Tracing

@testable import Ratchet

@Suite("Traces across the queue", .timeLimit(.minutes(30)))
struct TraceTests {
    private struct Failure: Error {}

    private static func sample(_ offset: Int64, trace: String?, span: String?) -> SampleMessage {
        var sample = SampleMessage(offset, key: "k\(offset)", id: "id\(offset)")
        if let trace { sample.headers.append(Header(InMemoryTracer.traceIDKey, trace)) }
        if let span { sample.headers.append(Header(InMemoryTracer.spanIDKey, span)) }
        return sample
    }

    /// The spans of a run, by offset and then in order, and the span that each run of the handler saw itself in.
    private static func run(
        _ kind: PipelineBench.Kind,
        _ samples: [SampleMessage],
        body: @escaping @Sendable (Message, Int) throws -> Void = { _, _ in }
    ) async throws -> (spans: [Int64: [FinishedInMemorySpan]], seen: [Int64: [String]]) {
        let bench = try PipelineBench()
        let tracer = InMemoryTracer()
        let seen = Mutex<[Int64: [String]]>([:])
        var configuration = PipelineBench.configuration
        configuration.tracer = tracer
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, attempt in
            let span = ServiceContext.current?.inMemorySpanContext?.spanID ?? "none"
            seen.withLock { $0[message.offset, default: []].append(span) }
            try body(message, attempt)
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(samples)
            await pipeline.settled(through: [.orders: Int64(samples.count)])
        }
        #expect(error == nil)
        #expect(tracer.activeSpans.isEmpty)
        var spans: [Int64: [FinishedInMemorySpan]] = [:]
        for span in tracer.finishedSpans {
            guard case .int64(let offset) = span.attributes.get("messaging.kafka.offset") else { continue }
            spans[offset, default: []].append(span)
        }
        return (spans, seen.withLock { $0 })
    }

    @Test(
        "The trace context in a message's headers is the parent of its processing, and the handler's context",
        arguments: PipelineBench.Kind.allCases
    )
    func parent(kind: PipelineBench.Kind) async throws {
        let samples = (0..<4).map { Self.sample($0, trace: "trace \($0)", span: "sender \($0)") }
        let (spans, seen) = try await Self.run(kind, samples)
        #expect(spans.count == 4)
        for offset in 0..<4 as Range<Int64> {
            let span = try #require(spans[offset]?.first)
            #expect(span.traceID == "trace \(offset)")
            #expect(span.parentSpanID == "sender \(offset)")
            #expect(seen[offset] == [span.spanID])
        }
    }

    @Test(
        "Without a whole trace context in its headers, a message's processing begins a trace of its own",
        arguments: PipelineBench.Kind.allCases
    )
    func roots(kind: PipelineBench.Kind) async throws {
        let samples = [
            Self.sample(0, trace: "first", span: "sender"), Self.sample(1, trace: nil, span: nil),
            Self.sample(2, trace: "cut off", span: nil), Self.sample(3, trace: nil, span: "cut off"),
        ]
        let (spans, _) = try await Self.run(kind, samples)
        for offset in 1..<4 as Range<Int64> { #expect(spans[offset]?.map(\.parentSpanID) == [nil]) }
        #expect(Set(spans.values.flatMap { $0 }.map(\.traceID)).count == 4)
    }

    @Test(
        "Each attempt is a span under the sender's, with its number and its error",
        arguments: PipelineBench.Kind.allCases
    )
    func attempts(kind: PipelineBench.Kind) async throws {
        let (spans, seen) = try await Self.run(kind, [Self.sample(0, trace: "trace", span: "sender")]) { _, attempt in
            if attempt < 3 { throw Failure() }
        }
        let all = try #require(spans[0])
        #expect(all.map { $0.attributes.get("ratchet.attempt") } == [.int64(1), .int64(2), .int64(3)])
        #expect(all.map(\.parentSpanID) == ["sender", "sender", "sender"])
        #expect(all.map(\.errors.count) == [1, 1, 0])
        #expect(seen[0] == all.map(\.spanID))
    }

    @Test("A duplicate is not processed, and has no span", arguments: PipelineBench.Kind.allCases)
    func duplicate(kind: PipelineBench.Kind) async throws {
        var again = Self.sample(1, trace: "trace", span: "again")
        again.headers[0] = .messageID("id0")
        let (spans, _) = try await Self.run(kind, [Self.sample(0, trace: "trace", span: "sender"), again])
        #expect(spans.values.flatMap { $0 }.map(\.parentSpanID).count == 1)
    }
}
