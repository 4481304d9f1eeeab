import ServiceLifecycle
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: revocation and shutdown at a time", .timeLimit(.minutes(30)))
struct PipelineShutdownTests {
    private static let other = TopicPartition("orders", 1)
    private static let third = TopicPartition("orders", 2)

    private static func sample(_ offset: Int64) -> SampleMessage {
        SampleMessage(offset, key: "k\(offset)", id: "id\(offset)")
    }

    /// A source that checks that nothing is committed which the ledger does not have, and asks `committing` first.
    private static func source(
        _ bench: PipelineBench,
        committing: @escaping @Sendable () async throws -> Void = {}
    ) -> ScriptedSource {
        ScriptedSource(committing: { commits in
            for commit in commits {
                let durable = try await bench.watermark(commit.partition)
                #expect(commit.offset <= durable ?? 0)
            }
            try await committing()
        })
    }

    private static func run(_ pipeline: Pipeline<Message>, _ body: (ServiceGroup) async throws -> Void) async throws {
        let group = ServiceGroup(services: [pipeline], logger: PipelineBench.silent)
        async let ended: Void = group.run()
        try await body(group)
        try await ended
    }

    /// Checks that a partition was committed at `offset` before it was given back, or else before the group was left,
    /// and that nothing came after that.
    private static func check(_ calls: [ScriptedSource.Call], _ partition: TopicPartition, at offset: Int64) throws {
        #expect(calls.last == .close)
        #expect(calls.filter { $0 == .close }.count == 1)
        let committed = try #require(calls.lastIndex(of: .commit(partition, offset)))
        let given = try #require(calls.firstIndex { $0 == .release(partition) || $0 == .close })
        #expect(committed < given)
    }

    @Test("A shutdown during a revocation: what runs is settled and committed before the partition is given back")
    func shutdownDuringRevocation() async throws {
        let bench = try PipelineBench()
        let source = Self.source(bench)
        let (first, second, gate) = (Latch(), Latch(), Latch())
        let pipeline = bench.asyncPipeline(source) { message, _ in
            (message.partition == 0 ? first : second).open()
            await gate.wait()
        }
        try await Self.run(pipeline) { group in
            await source.assign()
            await source.assign(Self.other, log: 100..<200)
            try source.deliver([Self.sample(0)])
            try source.deliver([Self.sample(100)], of: Self.other)
            await first.wait()
            await second.wait()
            source.say(.revoking([.orders], within: .seconds(600)))
            await source.assign(Self.third)
            await group.triggerGracefulShutdown()
            #expect(!source.calls.contains(.release(.orders)))
            gate.open()
        }
        try Self.check(source.calls, .orders, at: 1)
        try Self.check(source.calls, Self.other, at: 101)
        #expect(try [0, 100].map { try bench.count($0) } == [1, 1])
    }

    @Test("A shutdown does not cut the commit of a revocation short")
    func shutdownDuringCommit() async throws {
        let bench = try PipelineBench()
        let (asked, gate) = (Latch(), Latch())
        let source = Self.source(bench) {
            asked.open()
            await gate.wait()
            // As a request to a broker would.
            try Task.checkCancellation()
        }
        let pipeline = bench.asyncPipeline(source) { _, _ in }
        try await Self.run(pipeline) { group in
            await source.assign()
            try source.deliver([Self.sample(0)])
            await pipeline.settled(through: [.orders: 1])
            source.say(.revoking([.orders], within: .seconds(600)))
            await asked.wait()
            await group.triggerGracefulShutdown()
            gate.open()
        }
        try Self.check(source.calls, .orders, at: 1)
    }

    @Test("A shutdown does not make a revocation that is under way miss its limit")
    func revocationKeepsLimit() async throws {
        let (_, source) = try await Self.stuck(drainTimeout: .seconds(60)) { time, source, group in
            source.say(.revoking([.orders], within: .seconds(5)))
            await time.untilSleeping(milliseconds: 5_000)
            await group.triggerGracefulShutdown()
            time.advance(milliseconds: 5_000)
            await source.until { $0.contains(.release(.orders)) || $0.contains(.close) }
        }
        try Self.check(source.calls, .orders, at: 1)
        try Self.check(source.calls, Self.other, at: 101)
    }

    @Test("A revocation during a shutdown: what runs is settled and committed before the group is left")
    func revocationDuringShutdown() async throws {
        let bench = try PipelineBench()
        let source = Self.source(bench)
        let (started, gate) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(source) { _, _ in
            started.open()
            await gate.wait()
        }
        try await Self.run(pipeline) { group in
            await source.assign()
            try source.deliver([Self.sample(0)])
            await started.wait()
            await group.triggerGracefulShutdown()
            source.say(.revoking([.orders], within: .seconds(600)))
            gate.open()
        }
        try Self.check(source.calls, .orders, at: 1)
        #expect(try bench.count(0) == 1)
    }

    @Test(
        "A shutdown settles and commits everything that runs, in all partitions, before it leaves",
        arguments: PipelineBench.Kind.allCases
    )
    func allPartitions(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let source = Self.source(bench)
        let pipeline = bench.pipeline(source, kind)
        let partitions = [TopicPartition.orders, Self.other, Self.third]
        try await Self.run(pipeline) { group in
            for (number, partition) in partitions.enumerated() {
                let start = Int64(number) * 100
                await source.assign(partition, log: start..<start + 100)
                try source.deliver((start..<start + 50).map(Self.sample), of: partition)
            }
            await pipeline.settled(through: [Self.third: 201])
            await group.triggerGracefulShutdown()
        }
        #expect(source.calls.last == .close)
        for partition in partitions {
            let durable = try #require(try await bench.watermark(partition))
            if durable > Int64(partition.partition) * 100 { try Self.check(source.calls, partition, at: durable) }
            for offset in Int64(partition.partition) * 100..<Int64(partition.partition) * 100 + 50 {
                #expect(try bench.count(offset) == (offset < durable ? 1 : 0))
            }
        }
    }

    /// A partition whose first message is done and whose second one runs until it is cancelled, and one that is done.
    private static func stuck(
        drainTimeout: Duration,
        _ body: (ManualTime, ScriptedSource, ServiceGroup) async throws -> Void
    ) async throws -> (bench: PipelineBench, source: ScriptedSource) {
        let time = ManualTime()
        var settings = Ledger.Configuration.quick
        settings.time = time.source
        let bench = try PipelineBench(settings)
        var configuration = PipelineBench.configuration
        configuration.clock = time.clock
        configuration.batchDelay = .zero
        configuration.drainTimeout = drainTimeout
        let source = source(bench)
        let (started, never) = (Latch(), Latch())
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
            guard message.offset == 1 else { return }
            started.open()
            await never.wait()
            try Task.checkCancellation()
        }
        try await run(pipeline) { group in
            await source.assign()
            await source.assign(other, log: 100..<200)
            try source.deliver([sample(0), sample(1)])
            try source.deliver([sample(100)], of: other)
            await started.wait()
            await pipeline.settled(through: [.orders: 1, other: 101])
            try await body(time, source, group)
        }
        return (bench, source)
    }

    @Test("A shutdown waits for a handler up to the limit, then commits what is done and leaves")
    func shutdownLimit() async throws {
        let (bench, source) = try await Self.stuck(drainTimeout: .seconds(30)) { time, source, group in
            await group.triggerGracefulShutdown()
            await time.untilSleeping(milliseconds: 30_000)
            time.advance(milliseconds: 29_999)
            #expect(!source.calls.contains(.close))
            time.advance(milliseconds: 1)
        }
        try Self.check(source.calls, .orders, at: 1)
        try Self.check(source.calls, Self.other, at: 101)
        #expect(try await bench.watermark() == 1)
        #expect(try bench.count(1) == 0)
    }

    @Test("A revocation waits for a handler up to its own limit, when that is the shorter one")
    func revocationLimit() async throws {
        let (_, source) = try await Self.stuck(drainTimeout: .seconds(60)) { time, source, group in
            source.say(.revoking([.orders], within: .seconds(5)))
            await time.untilSleeping(milliseconds: 5_000)
            time.advance(milliseconds: 4_999)
            #expect(!source.calls.contains(.release(.orders)))
            time.advance(milliseconds: 1)
            await source.until { $0.contains(.release(.orders)) }
            await group.triggerGracefulShutdown()
        }
        try Self.check(source.calls, .orders, at: 1)
        try Self.check(source.calls, Self.other, at: 101)
    }

    /// Two partitions with a message that is done and not committed, and a shutdown that waits for a handler of each.
    private static func ending(
        committing: @escaping @Sendable ([OffsetCommit]) throws -> Void = { _ in },
        _ body: (ManualTime, ScriptedSource) async throws -> Void
    ) async throws -> ScriptedSource {
        let time = ManualTime()
        var settings = Ledger.Configuration.quick
        settings.time = time.source
        let bench = try PipelineBench(settings)
        var configuration = PipelineBench.configuration
        configuration.clock = time.clock
        configuration.batchDelay = .zero
        configuration.drainTimeout = .seconds(60)
        let source = ScriptedSource(committing: committing)
        let (first, second, gate) = (Latch(), Latch(), Latch())
        let pipeline = bench.asyncPipeline(source, configuration: configuration) { message, _ in
            guard message.offset % 100 == 1 else { return }
            (message.partition == 0 ? first : second).open()
            await gate.wait()
        }
        try await run(pipeline) { group in
            await source.assign()
            await source.assign(other, log: 100..<200)
            try source.deliver([sample(0), sample(1)])
            try source.deliver([sample(100), sample(101)], of: other)
            await first.wait()
            await second.wait()
            await pipeline.settled(through: [.orders: 1, other: 101])
            await group.triggerGracefulShutdown()
            await time.untilSleeping(milliseconds: 60_000)
            try await body(time, source)
            gate.open()
        }
        return source
    }

    @Test("While it drains for a shutdown the member is heard: a revocation is answered within its limit")
    func revocationIsHeard() async throws {
        let source = try await Self.ending { time, source in
            source.say(.revoking([.orders], within: .seconds(5)))
            await time.untilSleeping(milliseconds: 5_000)
            time.advance(milliseconds: 5_000)
            await source.until { $0.contains(.release(.orders)) }
            #expect(source.committed(.orders) == 1)
            #expect(!source.calls.contains(.close))
        }
        try Self.check(source.calls, .orders, at: 1)
        try Self.check(source.calls, Self.other, at: 102)
    }

    @Test("A partition that is lost during a shutdown does not keep the others from being committed")
    func lossIsHeard() async throws {
        let isLost = Latch()
        let source = try await Self.ending { commits in
            guard isLost.isOpen, commits.contains(where: { $0.partition == .orders }) else { return }
            throw SourceError(.fenced, "orders/0 is another member's")
        } _: { _, source in
            isLost.open()
            source.say(.lost([.orders]))
            await source.untilHeard()
        }
        #expect(source.committed(.orders) == nil)
        try Self.check(source.calls, Self.other, at: 102)
    }

    @Test("What comes during a shutdown is not begun")
    func nothingNew() async throws {
        let source = try await Self.ending { _, source in
            source.offer(Self.third)
            try source.deliver([Self.sample(2), Self.sample(3)])
            await source.untilHeard()
        }
        #expect(!source.calls.contains { if case .start(Self.third, _) = $0 { true } else { false } })
        try Self.check(source.calls, .orders, at: 2)
        try Self.check(source.calls, Self.other, at: 102)
    }
}
