import LMDB
import Logging
import Testing

@testable import Ratchet

@Suite("Ledger: keys remembered outside of a pipeline", .timeLimit(.minutes(30)))
struct LedgerRememberTests {
    private static func batch(_ keys: [String]) throws -> KeyBatch {
        var batch = KeyBatch(reserving: keys.count)
        for key in keys { try batch.append(key) }
        return batch
    }

    private static func ledger(
        _ scratch: ScratchFolder,
        _ change: (inout Ledger.Configuration) -> Void = { _ in }
    ) throws -> Ledger {
        var configuration = Ledger.Configuration.quick
        configuration.logger = PipelineBench.silent
        change(&configuration)
        return try Ledger(at: scratch("ledger"), configuration: configuration)
    }

    @Test("Each key is new once, within a batch and after it, whatever its length", arguments: [64, 6, 0])
    func once(bits: Int) async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.ledger(scratch) { $0.fingerprintBits = bits }
        let lengths = [1, 63, 64, 65, 10_000]
        let keys = lengths.map { String(repeating: "k", count: $0) } + ["01234567-89ab-cdef-0123-456789abcdef", "k"]
        let first = try await ledger.remember(try Self.batch(keys))
        #expect(first == [true, true, true, true, true, true, false])
        let second = try await ledger.remember(try Self.batch(keys + ["new"]))
        #expect(second == Array(repeating: false, count: 7) + [true])
        #expect(ledger.keyCount == 7)
        #expect(try await ledger.remember(KeyBatch()) == [])
        await ledger.close()
    }

    @Test(
        "A remembered key makes a pipeline's message a duplicate, and a settled message's key is not new",
        arguments: PipelineBench.Kind.allCases
    )
    func sharedWithPipelines(kind: PipelineBench.Kind) async throws {
        let bench = try PipelineBench()
        let source = ScriptedSource()
        let pipeline = bench.pipeline(source, kind)
        #expect(try await bench.ledger.remember(try Self.batch(["a"])) == [true])
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver([
                SampleMessage(0, key: "k", id: "a"), SampleMessage(1, key: "l", id: "b"),
                SampleMessage(2, key: "m", id: "a"),
            ])
            await pipeline.settled(through: [.orders: 3])
        }
        #expect(error == nil)
        #expect(bench.runs.map(\.offset) == [1])
        #expect(pipeline.statistics.duplicates == 2)
        #expect(source.committed() == 3)
        #expect(try await bench.ledger.remember(try Self.batch(["b", "c"])) == [false, true])
        // The first one's payload is not known: there is nothing to differ from.
        #expect(try bench.ledger.totals().conflicts == 0)
    }

    @Test("What was remembered is remembered after a close, and after a crash")
    func durable() async throws {
        let scratch = try ScratchFolder()
        var ledger = try Self.ledger(scratch) { $0.isDurable = true }
        #expect(try await ledger.remember(try Self.batch(["a", "b"])) == [true, true])
        let copy = try scratch.copy("ledger", to: "copy")
        let crashed = try Ledger(at: copy, configuration: .quick)
        #expect(try await crashed.remember(try Self.batch(["b", "c"])) == [false, true])
        await crashed.close()
        await ledger.close()
        ledger = try Self.ledger(scratch)
        #expect(try await ledger.remember(try Self.batch(["a", "b", "c"])) == [false, false, true])
        await ledger.close()
    }

    @Test("A remembered key is forgotten when the window's time is up, and is new then")
    func expires() async throws {
        let scratch = try ScratchFolder()
        let time = ManualTime()
        let ledger = try Self.ledger(scratch) {
            $0.time = time.source
            $0.window = DeduplicationWindow(time: .seconds(10))
        }
        #expect(try await ledger.remember(try Self.batch(["a"])) == [true])
        time.advance(milliseconds: 10_000)
        #expect(try await ledger.remember(try Self.batch(["a", "b"])) == [false, true])
        time.advance(milliseconds: 1)
        // Each batch lets go of what has expired, so the key is looked for once more and then not found.
        _ = try await ledger.remember(try Self.batch(["c"]))
        #expect(try await ledger.remember(try Self.batch(["a", "b"])) == [true, false])
        #expect(try ledger.totals().evicted == 0)
        await ledger.close()
    }

    @Test("A key of no bytes is refused, and leaves its batch as it was")
    func empty() async throws {
        var batch = try Self.batch(["a"])
        #expect(throws: IdempotencyKeyError.empty) { try batch.append("") }
        #expect(throws: IdempotencyKeyError.empty) { try batch.append(UnsafeRawBufferPointer(start: nil, count: 0)) }
        #expect(batch.count == 1)
        try batch.append("b")
        let scratch = try ScratchFolder()
        let ledger = try Self.ledger(scratch)
        #expect(try await ledger.remember(batch) == [true, true])
        await ledger.close()
    }

    @Test("The largest batch is taken, each of its keys once")
    func largest() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.ledger(scratch)
        let batch = try Self.batch((0..<KeyBatch.maximumCount).map { "k\($0 / 2)" })
        let isNew = try await ledger.remember(batch)
        #expect(isNew.indices.allSatisfy { isNew[$0] == ($0 % 2 == 0) })
        #expect(ledger.keyCount == KeyBatch.maximumCount / 2)
        await ledger.close()
    }

    @Test("A closed ledger refuses, and says so")
    func closed() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.ledger(scratch)
        await ledger.close()
        let error = await #expect(throws: LMDBError.self) { try await ledger.remember(try Self.batch(["a"])) }
        #expect(error?.code == .closed)
    }

    @Test("Keys that are forgotten before their time are counted, and warned of")
    func evicts() async throws {
        let scratch = try ScratchFolder()
        let log = LogRecorder()
        let ledger = try Self.ledger(scratch) {
            $0.window = DeduplicationWindow(count: 3)
            $0.logger = log.logger
        }
        for number in 0..<5 {
            #expect(try await ledger.remember(try Self.batch(["\(number)"])) == [true])
            #expect(ledger.keyCount <= 3)
        }
        #expect(try ledger.totals().evicted == 2)
        #expect(log.warnings.map { $0[LogKeys.count] } == ["1", "1"])
        #expect(log.warnings.allSatisfy { $0.text.contains("window is full") })
        await ledger.close()
    }

    @Test("A full window that pauses takes no further key until time has let the oldest go")
    func pauses() async throws {
        let scratch = try ScratchFolder()
        let time = ManualTime()
        let ledger = try Self.ledger(scratch) {
            $0.time = time.source
            $0.window = DeduplicationWindow(time: .seconds(10), count: 3, overflow: .pause)
        }
        #expect(try await ledger.remember(try Self.batch(["a", "b", "c"])) == [true, true, true])
        let error = await #expect(throws: LedgerError.self) { try await ledger.remember(try Self.batch(["d"])) }
        #expect(error?.code == .windowFull)
        #expect(error?.detail.contains("3 keys") == true)
        #expect(ledger.keyCount == 3)
        time.advance(milliseconds: 10_001)
        #expect(try await ledger.remember(try Self.batch(["d", "a"])) == [true, true])
        #expect(try ledger.totals().evicted == 0)
        await ledger.close()
    }
}
