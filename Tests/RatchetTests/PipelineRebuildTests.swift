import Testing

@testable import Ratchet

@Suite("Pipeline: another ledger's partition, whose window is rebuilt", .timeLimit(.minutes(30)))
struct PipelineRebuildTests {
    private struct Unreadable: Error {}

    private static let other = TopicPartition("orders", 1)

    @Sendable private static func record(_ offset: Int64) -> SampleMessage {
        SampleMessage(offset, key: "k", id: "id\(offset)")
    }

    /// Committed by another ledger.
    private static func committed(_ offset: Int64, by ledger: String = String(repeating: "f", count: 32))
        -> CommittedOffset
    {
        let metadata = CommitMetadata(ledger: ledger, epoch: String(repeating: "0", count: 16)).description
        return CommittedOffset(offset: offset, metadata: metadata)
    }

    private static func configuration(_ policy: ResumePolicy) -> PipelineConfiguration {
        var configuration = PipelineBench.configuration
        configuration.resume = policy
        return configuration
    }

    private static func rereads(_ source: ScriptedSource) -> [Int64] {
        source.calls.compactMap { if case .reread(_, let offset) = $0 { offset } else { nil } }
    }

    @Test(
        "What the other ledger has done is a duplicate when it comes again; what it has not done is new",
        arguments: PipelineBench.Kind.allCases
    )
    func takenOver(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource(records: Self.record)
        let pipeline = bench.pipeline(source, kind, configuration: Self.configuration(.init(lineage: .rebuild)))
        let error = try await bench.run(pipeline, source) {
            await source.assign(generation: 2, committed: Self.committed(20), log: 0..<100)
            try source.deliver(
                [
                    SampleMessage(20, key: "a", id: "id0"), SampleMessage(21, key: "b", id: "id19"),
                    SampleMessage(22, key: "c", id: "id22"),
                ],
                generation: 2
            )
            await pipeline.settled(through: [.orders: 23])
        }
        #expect(error == nil)
        #expect(bench.runs.map(\.offset) == [22])
        #expect(pipeline.statistics.passed == 20)
        #expect(pipeline.statistics.duplicates == 2)
        #expect(try bench.ledger.totals().processed == 1)
        #expect(source.committed() == 23)
        #expect(try bench.ledger.totals().conflicts == 0)
    }

    @Test("So many offsets are read again at the most, and none before the log's first")
    func bounded() async throws {
        for (limit, log, first) in [(5, 0, 15), (0, 0, nil), (1_000, 12, 12)] as [(Int, Int64, Int64?)] {
            let bench = try PipelineBench()
            let source = ScriptedSource(records: Self.record)
            let policy = ResumePolicy(lineage: .rebuild, rebuildLimit: limit)
            let pipeline = bench.pipeline(source, .transactional, configuration: Self.configuration(policy))
            let error = try await bench.run(pipeline, source) {
                await source.assign(generation: 2, committed: Self.committed(20), log: log..<100)
            }
            #expect(error == nil)
            // The last one finds nothing more, unless nothing is to be read.
            #expect(Self.rereads(source).first ?? 20 == first ?? 20)
            let isNew = try await bench.ledger.remember(KeyBatch(["id\((first ?? 12) - 1)", "id19"]))
            #expect(isNew == [true, first == nil])
        }
    }

    @Test("An old copy of the ledger learns what the newer one has done, and goes on behind that")
    func olderLedger() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource(records: Self.record)
        let pipeline = bench.pipeline(source, .transactional)
        _ = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver((0..<10).map(Self.record))
            await pipeline.settled(through: [.orders: 10])
        }
        let second = ScriptedSource(records: Self.record)
        let policy = ResumePolicy(olderLedger: .rebuild)
        let again = bench.pipeline(second, .transactional, configuration: Self.configuration(policy))
        let error = try await bench.run(again, second) {
            let committed = Self.committed(20, by: bench.ledger.id)
            await second.assign(generation: 2, committed: committed, log: 0..<100)
            try second.deliver(
                [SampleMessage(20, key: "a", id: "id15"), SampleMessage(21, key: "b", id: "id21")],
                generation: 2
            )
            await again.settled(through: [.orders: 22])
        }
        #expect(error == nil)
        #expect(second.calls.contains(.start(.orders, at: 20)))
        #expect(bench.runs.map(\.offset) == Array(0..<10) + [21])
        #expect(again.statistics.duplicates == 1)
    }

    @Test("No handler runs before the windows of all partitions that come together are rebuilt")
    func allFirst() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource(records: Self.record)
        let pipeline = bench.pipeline(
            source,
            .transactional,
            configuration: Self.configuration(.init(lineage: .rebuild))
        )
        let error = try await bench.run(pipeline, source) {
            source.say(
                .assigned(
                    [TopicPartition.orders, Self.other].map { partition in
                        let offset: Int64 = partition == .orders ? 4 : 8
                        return Assignment(
                            partition: partition,
                            topicID: nil,
                            generation: 2,
                            committed: Self.committed(offset),
                            log: 0..<100
                        )
                    }
                )
            )
            await source.until { $0.contains(.start(Self.other, at: 8)) }
        }
        #expect(error == nil)
        let calls = source.calls
        let lastRead = try #require(calls.lastIndex { if case .reread = $0 { true } else { false } })
        let firstStart = try #require(calls.firstIndex { if case .start = $0 { true } else { false } })
        #expect(lastRead < firstStart)
        #expect(pipeline.statistics.passed == 12)
    }

    @Test("A rebuild that breaks off has taken nothing over: the next run does all of it")
    func brokenOff() async throws {
        let bench = try PipelineBench()
        let policy = Self.configuration(.init(lineage: .rebuild))
        let failing = ScriptedSource(records: Self.record) { offset in if offset >= 10 { throw Unreadable() } }
        let first = bench.pipeline(failing, .transactional, configuration: policy)
        let error = try await bench.run(first, failing) {
            failing.offer(generation: 2, committed: Self.committed(20), log: 0..<100)
            await failing.until { $0.contains(.close) }
        }
        #expect(error is Unreadable)
        #expect(try await bench.watermark() == nil)
        #expect(failing.committed() == nil)
        let source = ScriptedSource(records: Self.record)
        let second = bench.pipeline(source, .transactional, configuration: policy)
        let ended = try await bench.run(second, source) {
            await source.assign(generation: 3, committed: Self.committed(20), log: 0..<100)
        }
        #expect(ended == nil)
        #expect(second.statistics.passed == 20)
        #expect(try await bench.ledger.remember(KeyBatch(["id0", "id19", "id20"])) == [false, false, true])
    }

    @Test(
        "A message whose key could not be told passes under its payload's; a pipeline without keys reads nothing again"
    )
    func keyless() async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource(records: { SampleMessage($0, key: "k", "payload \($0)") })
        let policy = Self.configuration(.init(lineage: .rebuild))
        let pipeline = bench.pipeline(source, .transactional, configuration: policy)
        let error = try await bench.run(pipeline, source) {
            await source.assign(generation: 2, committed: Self.committed(2), log: 0..<100)
            try source.deliver([SampleMessage(2, key: "k", "payload 1")], generation: 2)
            await pipeline.settled(through: [.orders: 3])
        }
        #expect(error == nil)
        #expect(pipeline.statistics.duplicates == 1)
        let bare = try PipelineBench()
        let second = ScriptedSource(records: Self.record)
        let unkeyed = bare.pipeline(second, .transactional, configuration: policy, keys: .positionOnly)
        _ = try await bare.run(unkeyed, second) {
            await second.assign(generation: 2, committed: Self.committed(20), log: 0..<100)
        }
        #expect(Self.rereads(second).isEmpty)
        #expect(second.calls.contains(.start(.orders, at: 20)))
    }
}

extension KeyBatch {
    fileprivate init(_ keys: [String]) throws {
        self.init(reserving: keys.count)
        for key in keys { try append(key) }
    }
}
