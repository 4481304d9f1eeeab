import Testing

@testable import Ratchet

@Suite("Pipeline: finished messages wait for company", .timeLimit(.minutes(30)))
struct BatchDelayTests {
    /// A pipeline of one worker, with gates at which the handlers of some offsets wait.
    private struct Setting {
        let time = ManualTime()
        let source = ScriptedSource()
        let bench: PipelineBench
        let pipeline: Pipeline<Message>
        let first = Gate()
        let second = Gate()

        final class Gate: Sendable {
            let reached = Latch()
            let opened = Latch()
        }

        init(delay: Duration) throws {
            var settings = Ledger.Configuration.quick
            settings.time = time.source
            bench = try PipelineBench(settings)
            var configuration = PipelineBench.configuration
            configuration.clock = time.clock
            configuration.concurrency = 1
            configuration.batchDelay = delay
            let (first, second) = (first, second)
            pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
                guard message.offset > 0 else { return }
                let gate = message.offset == 1 ? first : second
                gate.reached.open()
                await gate.opened.wait()
            }
        }

        func run(_ messages: Int64, _ body: () async throws -> Void) async throws {
            let error = try await bench.run(pipeline, source) {
                await source.assign()
                try source.deliver((0..<messages).map { SampleMessage($0, key: "k\($0)", id: "id\($0)") })
                await first.reached.wait()
                try await body()
                first.opened.open()
                second.opened.open()
                await pipeline.settled(through: [.orders: messages])
            }
            #expect(error == nil)
        }
    }

    @Test("A finished message waits up to the delay while others are ready, and no longer")
    func waits() async throws {
        let setting = try Setting(delay: .milliseconds(5))
        try await setting.run(3) {
            await setting.time.untilSleeping(milliseconds: 5)
            setting.time.advance(milliseconds: 4)
            let early = try await setting.bench.watermark()
            #expect(early == 0)
            setting.time.advance(milliseconds: 1)
            await setting.pipeline.settled(through: [.orders: 1])
            let due = try await setting.bench.watermark()
            #expect(due == 1)
        }
    }

    @Test("With nothing else ready it waits for nobody, whatever still runs")
    func nothingReady() async throws {
        let setting = try Setting(delay: .seconds(3600))
        try await setting.run(2) {
            await setting.pipeline.settled(through: [.orders: 1])
        }
    }

    @Test("Those that waited go together as soon as the last one that was ready has started")
    func lastStarted() async throws {
        let setting = try Setting(delay: .seconds(3600))
        try await setting.run(3) {
            let early = try await setting.bench.watermark()
            #expect(early == 0)
            setting.first.opened.open()
            await setting.second.reached.wait()
            await setting.pipeline.settled(through: [.orders: 2])
        }
    }

    @Test("Half a batch is company enough")
    func halfABatch() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let gate = Latch()
        var configuration = PipelineBench.configuration
        configuration.concurrency = 1
        configuration.batch = 8
        configuration.batchDelay = .seconds(3600)
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
            if message.offset == 8 { await gate.wait() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver((0..<16).map { SampleMessage($0, key: "k\($0)", id: "id\($0)") })
            await pipeline.settled(through: [.orders: 4])
            gate.open()
            await pipeline.settled(through: [.orders: 16])
        }
        #expect(error == nil)
    }
}
