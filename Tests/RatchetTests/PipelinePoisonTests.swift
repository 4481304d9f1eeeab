import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: a poison message stops nobody for ever", .timeLimit(.minutes(30)))
struct PipelinePoisonTests {
    private struct Poison: Error {}

    private static func sample(_ offset: Int64, _ key: String, _ text: String = "fine") -> SampleMessage {
        SampleMessage(offset, key: key, id: "id\(offset)", text)
    }

    @Test(
        "While it is retried other keys go on; once it is a dead letter its own key goes on, in order",
        arguments: PipelineBench.Kind.allCases
    )
    func throwsAlways(kind: PipelineBench.Kind) async throws {
        let time = ManualTime()
        var settings = Ledger.Configuration.quick
        settings.time = time.source
        let bench = try PipelineBench(settings)
        var configuration = PipelineBench.configuration
        configuration.clock = time.clock
        configuration.concurrency = 1
        configuration.retries = RetryPolicy(attempts: 3, initialDelay: .seconds(60), multiplier: 1, jitter: 0)
        let source = ScriptedSource()
        let (others, later) = (Latch(), Latch())
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { message, _ in
            if message.offset == 4 { others.open() }
            if message.offset == 6 { later.open() }
            if message.text == "poison" { throw Poison() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([
                Self.sample(0, "a", "poison"), Self.sample(1, "a"), Self.sample(2, "b"), Self.sample(3, "a"),
                Self.sample(4, "c"),
            ])
            await others.wait()
            // What comes while it waits goes by it, too, or behind it.
            try source.deliver([Self.sample(5, "a"), Self.sample(6, "b")])
            await later.wait()
            for _ in 0..<2 {
                await time.untilSleeping(milliseconds: 60_000)
                let offsets = Set(bench.runs.map(\.offset))
                #expect(offsets == [0, 2, 4, 6])
                time.advance(milliseconds: 60_000)
            }
            await pipeline.settled(through: [.orders: 7])
        }
        #expect(error == nil)
        #expect(bench.runs.filter { $0.offset == 0 }.map(\.attempt) == [1, 2, 3])
        #expect(bench.runs.map(\.offset).filter { [1, 3, 5].contains($0) } == [1, 3, 5])
        #expect(try (0..<7).map { try bench.count($0) } == [0, 1, 1, 1, 1, 1, 1])
        let letters = try bench.ledger.reader.deadLetters()
        #expect(letters.map(\.offset) == [0])
        #expect(letters.map(\.attempts) == [3])
        #expect(source.committed() == 7)
    }

    @Test(
        "What does not decode is given up at once and holds nobody up, whatever the order",
        arguments: [Ordering.key, .partition, .none]
    )
    func doesNotDecode(ordering: Ordering) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        var configuration = PipelineBench.configuration
        configuration.ordering = ordering
        configuration.retries = RetryPolicy(initialDelay: .seconds(3600))
        let done = Mutex<[Int]>([])
        let pipeline = Pipeline(
            "tests",
            from: source,
            ledger: bench.ledger,
            decoding: .json(Int.self),
            identifiedBy: .messageID,
            configuration: configuration
        ) { number, _ in done.withLock { $0.append(number) } }
        let texts = ["{", "1", "2", "nothing", "3", "\u{0}", "", "4"]
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(texts.enumerated().map { Self.sample(Int64($0.offset), "a", $0.element) })
            await pipeline.settled(through: [.orders: 8])
        }
        #expect(error == nil)
        let numbers = done.withLock { $0 }
        #expect(ordering == .none ? numbers.sorted() == [1, 2, 3, 4] : numbers == [1, 2, 3, 4])
        let letters = try bench.ledger.reader.deadLetters()
        #expect(letters.map(\.offset) == [0, 3, 5, 6])
        #expect(letters.allSatisfy { $0.reason == .undecodable && $0.attempts == 1 })
        #expect(letters.map(\.payload) == ["{", "nothing", "\u{0}", ""].map { Array($0.utf8) })
        #expect(source.committed() == 8)
    }

    @Test("A log of nothing but poison is given up to its end", arguments: PipelineBench.Kind.allCases)
    func onlyPoison(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.retries = RetryPolicy(attempts: 2, initialDelay: .zero)
        configuration.partitionInFlight = 5
        configuration.batch = 3
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { _, _ in throw Poison() }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver((0..<50).map { Self.sample($0, "k\($0 % 4)") })
            await pipeline.settled(through: [.orders: 50])
        }
        #expect(error == nil)
        #expect(try Set(bench.ledger.reader.deadLetters().map(\.offset)) == Set(0..<50))
        #expect(bench.runs.count == 100)
        #expect(source.committed() == 50)
    }
}
