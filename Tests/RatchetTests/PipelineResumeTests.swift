import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: where it resumes, and where it refuses to", .timeLimit(.minutes(30)))
struct PipelineResumeTests {
    private static func samples(_ offsets: Range<Int64>) -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k", id: "id\($0)") }
    }

    /// A bench whose ledger has settled offsets 0 to 9.
    private static func settled() async throws -> PipelineBench {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, .transactional)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(samples(0..<10))
            await pipeline.settled(through: [.orders: 10])
        }
        #expect(error == nil)
        return bench
    }

    private static func record(_ offset: Int64) -> SampleMessage? { samples(offset..<offset + 1).first }

    private static func metadata(_ ledger: String) -> String {
        CommitMetadata(ledger: ledger, epoch: String(repeating: "0", count: 16)).description
    }

    /// Where a second run starts, or why it does not.
    private static func resume(
        _ bench: PipelineBench,
        committed: CommittedOffset?,
        log: Range<Int64> = 0..<100,
        policy: ResumePolicy = ResumePolicy(),
        records: @escaping @Sendable (Int64) -> SampleMessage? = record
    ) async throws -> (start: Int64?, error: ResumeError.Code?) {
        let source = ScriptedSource(records: records)
        var configuration = PipelineBench.configuration
        configuration.resume = policy
        configuration.resume.refusal = .endPipeline
        let pipeline = bench.pipeline(source, .transactional, configuration: configuration)
        let error = try await bench.run(pipeline, source) {
            source.offer(generation: 2, committed: committed, log: log)
            await source.until { !$0.isEmpty }
        }
        let start = source.calls.compactMap { if case .start(_, let at) = $0 { at } else { nil } }.first
        return (start, (error as? ResumeError)?.code)
    }

    @Test("The broker is behind: it starts at the ledger's position and commits it")
    func ledgerAhead() async throws {
        let bench = try await Self.settled()
        let source = ScriptedSource(records: Self.record)
        let pipeline = bench.pipeline(source, .transactional)
        let committed = CommittedOffset(offset: 4, metadata: Self.metadata(bench.ledger.id))
        let error = try await bench.run(pipeline, source) {
            await source.assign(generation: 2, committed: committed, log: 0..<100)
            try source.deliver(Self.samples(8..<12), generation: 2)
            await pipeline.settled(through: [.orders: 12])
        }
        #expect(error == nil)
        #expect(source.calls.first == .start(.orders, at: 10))
        #expect(source.committed() == 12)
        #expect(pipeline.statistics.redelivered == 2)
        #expect(try bench.ledger.totals().processed == 12)
    }

    @Test("A log that holds other records at the same offsets is not resumed")
    func offsetsReused() async throws {
        let bench = try await Self.settled()
        let anew = try await Self.resume(bench, committed: nil) { offset in SampleMessage(offset, key: "k", "other") }
        #expect(anew == (nil, .offsetsReused))
        let truncated = try await Self.resume(bench, committed: nil, log: 0..<5)
        #expect(truncated == (nil, .offsetsReused))
        let deleted = try await Self.resume(bench, committed: nil, log: 50..<100)
        #expect(deleted == (nil, .retentionPassed))
        let compacted = try await Self.resume(bench, committed: nil) { _ in nil }
        #expect(compacted == (10, nil))
    }

    @Test("A partition that must not be resumed stands still and says why; the others go on")
    func partitionStops() async throws {
        let bench = try await Self.settled()
        let other = TopicPartition("orders", 1)
        let source = ScriptedSource { SampleMessage($0, key: "k", "other") }
        let pipeline = bench.pipeline(source, .transactional)
        let error = try await bench.run(pipeline, source) {
            source.offer(generation: 2, committed: nil, log: 0..<100)
            await source.assign(other, generation: 2)
            try source.deliver(Self.samples(20..<25), of: other, generation: 2, start: 0)
            await pipeline.settled(through: [other: 25])
            #expect(pipeline.stoppedPartitions.mapValues(\.code) == [.orders: .offsetsReused])
            source.say(.revoking([.orders], within: .seconds(60)))
            await source.until { $0.contains(.release(.orders)) }
            #expect(pipeline.stoppedPartitions.isEmpty)
        }
        #expect(error == nil)
        #expect(!source.calls.contains { if case .start(.orders, _) = $0 { true } else { false } })
        #expect(try await bench.watermark() == 10)
    }

    @Test("An operator's reset stops the partition, unless told what to do")
    func reset() async throws {
        let bench = try await Self.settled()
        let reset = CommittedOffset(offset: 4, metadata: "")
        #expect(try await Self.resume(bench, committed: reset) == (nil, .reset))
        #expect(try await Self.resume(bench, committed: reset, policy: .init(reset: .resume)) == (10, nil))
    }

    @Test("Reprocessing runs the messages from the group's offset on once more")
    func reprocess() async throws {
        let bench = try await Self.settled()
        let source = ScriptedSource(records: Self.record)
        var configuration = PipelineBench.configuration
        configuration.resume.reset = .reprocess
        let pipeline = bench.pipeline(source, .transactional, configuration: configuration)
        _ = try await bench.run(pipeline, source) {
            await source.assign(generation: 2, committed: CommittedOffset(offset: 4, metadata: ""), log: 0..<100)
            try source.deliver(Self.samples(4..<12), generation: 2)
            await pipeline.settled(through: [.orders: 12])
        }
        // Committed as ours first: the next opening must not take it for another reset.
        #expect(source.calls.prefix(2) == [.commit(.orders, 4), .start(.orders, at: 4)])
        #expect(try (0..<12).map { try bench.count($0) } == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 1, 1])
        #expect(source.committed() == 12)
    }

    @Test("Another ledger's partition, or an older copy of the ledger, is refused")
    func lineage() async throws {
        let bench = try await Self.settled()
        let foreign = Self.metadata(String(repeating: "f", count: 32))
        let own = Self.metadata(bench.ledger.id)
        #expect(try await Self.resume(bench, committed: .init(offset: 20, metadata: foreign)) == (nil, .foreignLedger))
        #expect(try await Self.resume(bench, committed: .init(offset: 20, metadata: own)) == (nil, .olderLedger))
        let accepted = try await Self.resume(
            bench,
            committed: .init(offset: 20, metadata: foreign),
            policy: .init(lineage: .accept)
        )
        #expect(accepted == (20, nil))
    }

    @Test("A ledger of another group is refused before the group is joined")
    func otherGroup() async throws {
        let bench = try PipelineBench()
        try await bench.ledger.bind(to: "shipping")
        let source = ScriptedSource()
        let error = try await bench.run(bench.pipeline(source, .transactional), source) {}
        #expect((error as? LedgerError)?.code == .otherGroup)
        #expect(source.calls.isEmpty)
    }

    @Test("After a crash it goes on where the ledger stands", arguments: PipelineBench.Kind.allCases)
    func crash(kind: PipelineBench.Kind) async throws {
        var settings = Ledger.Configuration.quick
        settings.isDurable = true
        let bench = try PipelineBench(settings)
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind)
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<500))
            await pipeline.settled(through: [.orders: 1])
            _ = try bench.scratch.copy("ledger", to: "copy")
        }
        let ledger = try Ledger(at: bench.scratch("copy"), configuration: .quick)
        let done = try #require(try await ledger.position(SettlementDriver.key(0))?.watermark)
        #expect(done >= 1)
        #expect(try ledger.totals().processed == Int(done))
        for offset in 0..<500 as Range<Int64> {
            #expect(try ledger.reader.get(ScriptedHandler.counts, "\(offset)") == (offset < done ? 1 : nil))
        }
        await ledger.close()
    }
}
