import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: retention overtakes a partition that is running", .timeLimit(.minutes(30)))
struct PipelineOutOfRangeTests {
    private static func gap(_ position: Int64, _ log: Range<Int64>, generation: Int64 = 1) -> SourceEvent {
        .outOfRange(OffsetGap(partition: .orders, generation: generation, position: position, log: log))
    }

    private static func samples(_ offsets: Range<Int64>) -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k\($0)", id: "id\($0)") }
    }

    private static func configuration(_ resume: ResumePolicy) -> PipelineConfiguration {
        var configuration = PipelineBench.configuration
        configuration.resume = resume
        return configuration
    }

    @Test(
        "It goes on at what the log holds, or at its end, and counts what it lost",
        arguments: PipelineBench.Kind.allCases,
        [ResumePolicy.OutOfRange.earliest, .latest]
    )
    func goesOn(kind: PipelineBench.Kind, policy: ResumePolicy.OutOfRange) async throws {
        let (bench, source) = (try PipelineBench(), ScriptedSource())
        let pipeline = bench.pipeline(source, kind, configuration: Self.configuration(.init(outOfRange: policy)))
        let target: Int64 = policy == .earliest ? 50 : 90
        let error = try await bench.run(pipeline, source) {
            await source.assign(log: 0..<10)
            try source.deliver(Self.samples(0..<3))
            source.say(Self.gap(3, 50..<90))
            await source.until { $0.contains(.start(.orders, at: target)) }
            try source.deliver(Self.samples(target..<target + 2), start: target)
            await pipeline.settled(through: [.orders: target + 2])
        }
        #expect(error == nil)
        #expect(pipeline.statistics.lost == Int(target - 3))
        #expect(bench.runs.map(\.offset).sorted() == [0, 1, 2, target, target + 1])
        #expect(source.committed() == target + 2)
        #expect(try await bench.watermark() == target + 2)
        #expect(pipeline.stoppedPartitions.isEmpty)
    }

    @Test("What was delivered before is done first: until then nothing behind it counts as done")
    func inFlightFirst() async throws {
        let (bench, source) = (try PipelineBench(), ScriptedSource())
        let (isRunning, gate) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(
            source,
            configuration: Self.configuration(.init(outOfRange: .earliest))
        ) { message, _ in
            guard message.offset == 1 else { return }
            isRunning.open()
            await gate.wait()
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign(log: 0..<10)
            try source.deliver(Self.samples(0..<3))
            source.say(Self.gap(3, 50..<90))
            await source.untilHeard()
            await isRunning.wait()
            await pipeline.settled(through: [.orders: 1])
            #expect(try await bench.watermark() == 1)
            #expect(pipeline.statistics.lost == 0)
            #expect(!source.calls.contains(.start(.orders, at: 50)))
            gate.open()
            await source.until { $0.contains(.start(.orders, at: 50)) }
        }
        #expect(error == nil)
        #expect(try (0..<3).allSatisfy { try bench.count($0) == 1 })
        #expect(try await bench.watermark() == 50)
        #expect(pipeline.statistics.lost == 47)
    }

    @Test("A message that is tried again, and becomes a dead letter, is waited for as well")
    func retries() async throws {
        struct Failure: Error {}
        let (bench, source) = (try PipelineBench(), ScriptedSource())
        let pipeline = bench.pipeline(source, configuration: Self.configuration(.init(outOfRange: .latest))) {
            message,
            _ in
            if message.offset == 0 { throw Failure() }
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign(log: 0..<10)
            try source.deliver(Self.samples(0..<2))
            source.say(Self.gap(2, 20..<30))
            await source.until { $0.contains(.start(.orders, at: 30)) }
        }
        #expect(error == nil)
        #expect(bench.runs.filter { $0.offset == 0 }.count == 5)
        #expect(pipeline.statistics.deadLettered == 1 && pipeline.statistics.lost == 28)
    }

    @Test("With 'fail' the partition stops and says what is lost, what was delivered is done, and the others go on")
    func stops() async throws {
        let (bench, source) = (try PipelineBench(), ScriptedSource())
        let pipeline = bench.pipeline(source, configuration: Self.configuration(.init()))
        let other = TopicPartition("orders", 1)
        let error = try await bench.run(pipeline, source) {
            await source.assign(log: 0..<10)
            await source.assign(other, log: 0..<10)
            try source.deliver(Self.samples(0..<3))
            source.say(Self.gap(3, 50..<90))
            try source.deliver(Self.samples(0..<1), of: other)
            await pipeline.settled(through: [.orders: 3, other: 1])
            await source.untilHeard()
            let stopped = pipeline.stoppedPartitions[.orders]
            #expect(stopped?.code == .retentionPassed && stopped?.lost == 3..<50)
        }
        #expect(error == nil)
        #expect(pipeline.statistics.lost == 0)
        #expect(!source.calls.contains { if case .start(.orders, let at) = $0 { at > 0 } else { false } })
        #expect(try await bench.watermark() == 3)
    }

    @Test("With 'endPipeline' the pipeline ends with what is lost, and never takes a log's end for retention")
    func ends() async throws {
        for (log, code) in [(Int64(50)..<Int64(90), ResumeError.Code.retentionPassed), (0..<2, .offsetsReused)] {
            let (bench, source) = (try PipelineBench(), ScriptedSource())
            let policy = ResumePolicy(outOfRange: code == .offsetsReused ? .earliest : .fail, refusal: .endPipeline)
            let pipeline = bench.pipeline(source, configuration: Self.configuration(policy))
            let error = try await bench.run(pipeline, source) {
                await source.assign(log: 0..<10)
                try source.deliver(Self.samples(0..<3))
                source.say(Self.gap(3, log))
                await source.until { $0.contains(.close) }
            }
            #expect((error as? ResumeError)?.code == code)
            #expect(try await bench.watermark() == 3)
        }
    }

    @Test("A gap of a partition that was given back, lost or assigned anew meanwhile moves nothing")
    func takenAway() async throws {
        let (bench, source) = (try PipelineBench(), ScriptedSource())
        let (isRunning, gate) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(
            source,
            configuration: Self.configuration(.init(outOfRange: .earliest))
        ) { _, _ in
            isRunning.open()
            await gate.wait()
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign(log: 0..<10)
            try source.deliver(Self.samples(0..<1))
            await isRunning.wait()
            source.say(Self.gap(1, 50..<90))
            await source.untilHeard()
            source.say(.lost([.orders]))
            await source.assign(generation: 2, log: 0..<10)
            source.say(Self.gap(1, 50..<90))
            await source.untilHeard()
            gate.open()
        }
        #expect(error == nil)
        #expect(pipeline.statistics.lost == 0)
        #expect(try await bench.watermark() == 0)
    }
}
