import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: partitions that come and go", .timeLimit(.minutes(30)))
struct PipelinePartitionTests {
    private static func samples(_ offsets: Range<Int64>) -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k\($0)", id: "id\($0)") }
    }

    @Test("A revocation waits for the running handler, commits, and only then gives the partition back")
    func revoke() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let (started, gate) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(source) { _, _ in
            started.open()
            await gate.wait()
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<1))
            await started.wait()
            source.say(.revoking([.orders], within: .seconds(600)))
            // The next partition is started beside the drain: the session is still heard.
            await source.assign(TopicPartition("orders", 1))
            #expect(!source.calls.contains(.release(.orders)))
            gate.open()
            await source.until { $0.contains(.release(.orders)) }
            #expect(source.calls.last == .release(.orders))
            #expect(source.committed() == 1)
        }
        #expect(try bench.count(0) == 1)
    }

    @Test("A partition is given back only after a commit that is under way")
    func revokeDuringCommit() async throws {
        let bench = try PipelineBench()
        let (asked, gate) = (Latch(), Latch())
        var configuration = PipelineBench.configuration
        configuration.commitInterval = .milliseconds(1)
        let source = ScriptedSource(committing: { commits in
            guard commits.contains(where: { $0.offset == 3 }) else { return }
            asked.open()
            await gate.wait()
        })
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { _, _ in }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<3))
            await asked.wait()
            source.say(.revoking([.orders], within: .seconds(600)))
            await source.assign(TopicPartition("orders", 1))
            gate.open()
            await source.until { $0.contains(.release(.orders)) }
        }
        let calls = source.calls
        let committed = try #require(calls.firstIndex(of: .commit(.orders, 3)))
        let released = try #require(calls.firstIndex(of: .release(.orders)))
        #expect(committed < released)
    }

    @Test("After the deadline a late result moves nothing, and the message runs again under the next generation")
    func deadline() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let (started, gate) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(source) { message, _ in
            guard message.generation == 1 else { return }
            started.open()
            await gate.wait()
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<1))
            await started.wait()
            source.say(.revoking([.orders], within: .zero))
            await source.until { $0.contains(.release(.orders)) }
            #expect(try await bench.watermark() == 0)
            await source.assign(generation: 2)
            gate.open()
            try source.deliver(Self.samples(0..<1), generation: 2)
            await pipeline.settled(through: [.orders: 1])
        }
        #expect(try bench.count(0) == 1)
        #expect(bench.runs.count == 2)
    }

    @Test("What runs in a lost partition moves nothing; messages of its old generation are ignored")
    func lost() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let (started, gate) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(source) { message, _ in
            guard message.generation == 1 else { return }
            started.open()
            await gate.wait()
        }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<2))
            await started.wait()
            source.say(.lost([.orders]))
            try source.deliver(Self.samples(2..<4))
            await source.assign(generation: 2)
            gate.open()
            try source.deliver(Self.samples(0..<4), generation: 1)
            try source.deliver(Self.samples(0..<2), generation: 2)
            await pipeline.settled(through: [.orders: 2])
        }
        #expect(try (0..<4).map { try bench.count($0) } == [1, 1, 0, 0])
        #expect(source.committed() == 2)
    }

    @Test("A graceful shutdown waits for what runs, commits it and leaves the group")
    func gracefulShutdown() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let (started, gate) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(source) { _, _ in
            started.open()
            await gate.wait()
        }
        let group = ServiceGroup(services: [pipeline], logger: PipelineBench.silent)
        async let ended: Void = group.run()
        await source.assign()
        try source.deliver(Self.samples(0..<1))
        await started.wait()
        await group.triggerGracefulShutdown()
        gate.open()
        try await ended
        #expect(source.calls.suffix(2) == [.commit(.orders, 1), .close])
        #expect(try bench.count(0) == 1)
    }

    @Test(
        "With much in flight a partition is paused, and resumed when there is room",
        arguments: PipelineBench.Kind.allCases
    )
    func backPressure(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.partitionInFlight = 4
        configuration.batch = 2
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind, configuration: configuration)
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            for round in 0..<20 as Range<Int64> {
                try source.deliver(Self.samples(round * 10..<round * 10 + 10))
                await pipeline.settled(through: [.orders: round * 10 + 10])
                await source.until { calls in
                    calls.filter { $0 == .resume(.orders) }.count == round + 1
                }
            }
        }
        // The last time is at the end, when nothing more is taken in.
        #expect(source.calls.filter { $0 == .pause(.orders) }.count == 21)
    }

    @Test("A full window pauses the source until time has let keys go")
    func windowPauses() async throws {
        let time = ManualTime()
        var settings = Ledger.Configuration.quick
        settings.time = time.source
        settings.window = DeduplicationWindow(time: .seconds(10), count: 3, overflow: .pause)
        let bench = try PipelineBench(settings)
        var configuration = PipelineBench.configuration
        configuration.commitInterval = .milliseconds(1)
        let source = ScriptedSource()
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { _, _ in }
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<3))
            await pipeline.settled(through: [.orders: 3])
            // A commit that is under way may fill it for a moment before.
            await source.until { $0.last { [.pause(.orders), .resume(.orders)].contains($0) } == .pause(.orders) }
            let resumed = source.calls.count { $0 == .resume(.orders) }
            time.advance(milliseconds: 10_001)
            await source.until { calls in calls.count { $0 == .resume(.orders) } > resumed }
        }
        #expect(try bench.ledger.totals().evicted == 0)
    }

    @Test("Two members share a ledger: a partition moves from one to the other, and an event runs in one of them")
    func twoMembers() async throws {
        let bench = try PipelineBench()
        let (first, second) = (ScriptedSource(), ScriptedSource())
        let (started, gate) = (Latch(), Latch())
        let one = bench.asyncPipeline(first) { message, _ in
            guard message.offset == 0 else { return }
            started.open()
            await gate.wait()
        }
        let two = bench.asyncPipeline(second) { _, _ in }
        let other = TopicPartition("orders", 1)
        _ = try await bench.run(one, first) {
            _ = try await bench.run(two, second) {
                await first.assign()
                await second.assign(other)
                try first.deliver(Self.samples(0..<3))
                await started.wait()
                // The same event in the other member, while the first one runs.
                try second.deliver(
                    [SampleMessage(0, key: "a", id: "id0"), SampleMessage(1, key: "b", id: "own")],
                    of: other
                )
                gate.open()
                await two.settled(through: [other: 2])
                await one.settled(through: [.orders: 3])
                first.say(.revoking([.orders], within: .seconds(600)))
                await first.until { $0.contains(.release(.orders)) }
                await second.assign(generation: 2, committed: CommittedOffset(offset: 3, metadata: ""))
                try second.deliver(Self.samples(0..<5), generation: 2)
                await two.settled(through: [.orders: 5])
            }
        }
        #expect(two.statistics.duplicates == 1)
        #expect(two.statistics.redelivered == 3)
        #expect(try bench.ledger.totals().processed == 6)
        #expect(second.calls.contains(.start(.orders, at: 3)))
    }

    @Test("Of a partition that is lost while the ledger settles its messages nothing is kept for a commit")
    func lostWhileSettling() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let (started, gate) = (Latch(), Gate())
        let run = PipelineRun<Message>(
            name: "tests",
            source: source,
            ledger: bench.ledger,
            sink: nil,
            intake: Intake(
                decoder: .raw,
                keys: .messageID,
                fingerprint: bench.ledger.journal.fingerprint,
                ordering: nil
            ),
            handler: .inWriter { _, _ in
                started.open()
                gate.wait()
            },
            configuration: PipelineBench.configuration,
            progress: Progress()
        )
        async let ended: Void = run.run()
        await source.assign()
        try source.deliver(Self.samples(0..<1))
        await started.wait()
        source.say(.lost([.orders]))
        await source.untilHeard()
        #expect(run.leases(of: [.orders]).isEmpty)
        gate.open()
        // Behind the piece.
        try await bench.ledger.writer.write { _ in }
        #expect(run.state.withLock { $0.owned.isEmpty })
        source.say(.closed)
        try await ended
        #expect(source.committed() == nil)
    }
}
