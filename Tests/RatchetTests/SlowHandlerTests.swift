import Testing

@testable import Ratchet

@Suite("Pipeline: handlers that take long", .timeLimit(.minutes(30)))
struct SlowHandlerTests {
    private struct Failure: Error {}

    /// Runs handlers that take as long as the table says, one after the other; returns the warnings of slow ones. The
    /// limits are 100 ms in tasks and 10 ms in the transaction.
    private static func warnings(
        _ kind: PipelineBench.Kind,
        _ milliseconds: @escaping @Sendable (_ offset: Int64, _ attempt: Int) -> Int64,
        failing: @escaping @Sendable (_ offset: Int64, _ attempt: Int) -> Bool = { _, _ in false }
    ) async throws -> [LogRecorder.Line] {
        let (time, log) = (ManualTime(), LogRecorder())
        var settings = Ledger.Configuration.quick
        settings.time = time.source
        let bench = try PipelineBench(settings)
        var configuration = PipelineBench.configuration
        configuration.logger = log.logger
        configuration.clock = time.clock
        configuration.concurrency = 1
        configuration.slowHandler = .milliseconds(100)
        // In tasks the writer reads the clock while the next handler moves it.
        configuration.slowTransaction = kind == .inTasks ? .seconds(3_600) : .milliseconds(10)
        let source = ScriptedSource()
        let partition = TopicPartition("orders", 3)
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, attempt in
            time.advance(milliseconds: milliseconds(message.offset, attempt))
            if failing(message.offset, attempt) { throw Failure() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign(partition)
            try source.deliver((0..<4).map { SampleMessage($0, key: "k\($0)", id: "id\($0)") }, of: partition)
            await pipeline.settled(through: [partition: 4])
        }
        #expect(error == nil)
        return log.warnings
    }

    private static func limit(_ kind: PipelineBench.Kind) -> Int64 { kind == .inTasks ? 100 : 10 }

    private static func text(_ kind: PipelineBench.Kind) -> String {
        switch kind {
        case .inTasks: "a handler took long"
        case .transactional: "a transactional handler held the writer for long"
        }
    }

    @Test(
        "A handler over the limit is named with topic, partition, offset and milliseconds",
        arguments: PipelineBench.Kind.allCases
    )
    func named(kind: PipelineBench.Kind) async throws {
        let limit = Self.limit(kind)
        let warnings = try await Self.warnings(kind) { offset, _ in offset == 2 ? limit + 1 : 1 }
        #expect(warnings.map(\.text) == [Self.text(kind)])
        let line = try #require(warnings.first)
        #expect(line[LogKeys.topic] == "orders")
        #expect(line[LogKeys.partition] == "3")
        #expect(line[LogKeys.offset] == "2")
        #expect(line[LogKeys.milliseconds] == "\(limit + 1)")
        #expect(line[LogKeys.pipeline] == "tests")
    }

    @Test("Up to the limit nobody is named, however many there are", arguments: PipelineBench.Kind.allCases)
    func withinLimit(kind: PipelineBench.Kind) async throws {
        let limit = Self.limit(kind)
        let warnings = try await Self.warnings(kind) { _, _ in limit }
        #expect(warnings == [], "\(warnings)")
    }

    @Test("A slow handler that throws is named, not the one after it", arguments: PipelineBench.Kind.allCases)
    func thrower(kind: PipelineBench.Kind) async throws {
        let limit = Self.limit(kind)
        let warnings = try await Self.warnings(kind) { offset, attempt in
            offset == 1 && attempt == 1 ? limit * 5 : 1
        } failing: { offset, attempt in
            offset == 1 && attempt == 1
        }
        #expect(warnings.map(\.text) == [Self.text(kind)])
        #expect(warnings.map { $0[LogKeys.offset] } == ["1"])
        #expect(warnings.map { $0[LogKeys.attempt] } == ["1"])
        #expect(warnings.map { $0[LogKeys.milliseconds] } == ["\(limit * 5)"])
    }
}
