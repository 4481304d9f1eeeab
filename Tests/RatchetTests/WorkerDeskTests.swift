import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: messages that are handed out ahead", .timeLimit(.minutes(30)))
struct WorkerDeskTests {
    /// Two workers: the first two messages are done at once, and whatever a worker takes after them hangs at the gate.
    private struct Jam {
        let gate = Latch()
        let hanging = Latch()
        private let count = Counter()

        func pass(_ message: Message) async {
            guard message.offset >= 2 else { return }
            if count.next() == 2 { hanging.open() }
            await gate.wait()
        }
    }

    private final class Counter: Sendable {
        private let value = Atomic(0)

        func next() -> Int { value.add(1, ordering: .relaxed).newValue }
    }

    private static func samples(_ count: Int64) -> [SampleMessage] {
        (0..<count).map { SampleMessage($0, key: "k\($0)", id: "id\($0)") }
    }

    private static func configuration(delay: Duration) -> PipelineConfiguration {
        var configuration = PipelineBench.configuration
        configuration.concurrency = 2
        configuration.batchDelay = delay
        return configuration
    }

    @Test("A result does not wait for workers that are all busy")
    func resultsPass() async throws {
        let bench = try PipelineBench()
        let jam = Jam()
        let source = ScriptedSource()
        let configuration = Self.configuration(delay: .milliseconds(2))
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
            await jam.pass(message)
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(20))
            await jam.hanging.wait()
            await pipeline.settled(through: [.orders: 2])
            #expect(bench.runs.count == 4)
            jam.gate.open()
            await pipeline.settled(through: [.orders: 20])
        }
        #expect(error == nil)
        for offset in 0..<20 as Range<Int64> { #expect(try bench.count(offset) == 1) }
    }

    @Test("A partition that is given back takes along what was handed out and has not started")
    func revocation() async throws {
        let bench = try PipelineBench()
        let jam = Jam()
        let source = ScriptedSource()
        // So long that only the revocation clears the desk.
        let configuration = Self.configuration(delay: .seconds(3600))
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
            await jam.pass(message)
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(20))
            await jam.hanging.wait()
            source.say(.revoking([.orders], within: .seconds(600)))
            // A result that is committed now was on the desk.
            await pipeline.settled(through: [.orders: 2])
            jam.gate.open()
            await source.until { $0.contains(.release(.orders)) }
        }
        #expect(error == nil)
        #expect(Set(bench.runs.map(\.offset)) == [0, 1, 2, 3])
        #expect(source.committed() == 4)
    }

    @Test("A key whose message was handed out and has not started can be claimed by another pipeline")
    func claims() async throws {
        let bench = try PipelineBench()
        let jam = Jam()
        let (source, other) = (ScriptedSource(), ScriptedSource())
        let configuration = Self.configuration(delay: .milliseconds(2))
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
            await jam.pass(message)
        }
        let second = bench.asyncPipeline(other, configuration: configuration) { _, _ in }
        let partition = TopicPartition("orders", 1)
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(20))
            await jam.hanging.wait()
            _ = try await bench.run(second, other) {
                await other.assign(partition)
                let same = (4..<20 as Range<Int64>).map { SampleMessage($0 - 4, key: "k", id: "id\($0)") }
                try other.deliver(same, of: partition)
                await second.settled(through: [partition: 16])
            }
            jam.gate.open()
            await pipeline.settled(through: [.orders: 20])
        }
        #expect(second.statistics.processed == 16)
        #expect(pipeline.statistics.processed == 4)
        #expect(pipeline.statistics.duplicates == 16)
    }
}
