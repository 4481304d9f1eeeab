import Seeds
import Testing

@testable import Ratchet

@Suite("Ledger: positions and fencing")
struct LedgerPositionTests {
    private static func opened(_ scratch: ScratchFolder) throws -> Ledger {
        try Ledger(at: scratch("ledger"), configuration: .quick)
    }

    private static func samples(_ offsets: [Int64]) -> [SampleMessage] {
        offsets.map { SampleMessage($0, id: "id\($0)") }
    }

    @Test("A record that is delivered again is known by its offset: below the watermark and above it")
    func redelivery() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        let entries = try driver.entries(Self.samples([0, 2, 3, 7, 9]), start: 0)
        try await driver.settle([entries[0], entries[3]])
        #expect(try await driver.watermark == 1)
        let report = try await driver.settle(entries + entries)
        let again = Array(repeating: "redelivered", count: 5)
        #expect(report.names == ["redelivered", "processed", "processed", "redelivered", "processed"] + again)
        #expect(try await driver.watermark == 10)
        #expect(try ledger.totals().redelivered == 7)
        #expect(try ledger.totals().duplicates == 0)
        await ledger.close()
    }

    @Test("The sparse set is kept over reopening", arguments: Seed.some(10))
    func sparseIsDurable(seed: Seed) async throws {
        let scratch = try ScratchFolder()
        var random = seed.random
        var done: Set<Int64> = []
        for generation in 1...4 as ClosedRange<Int64> {
            let ledger = try Self.opened(scratch)
            let driver = try await SettlementDriver(ledger, generation: generation)
            let entries = try driver.entries(Self.samples(Array(0..<60)), start: 0)
            let some = entries.filter { _ in random.chance(25) }.shuffled(using: &random)
            let report = try await driver.settle(some)
            #expect(report.names == some.map { done.contains($0.offset) ? "redelivered" : "processed" })
            done.formUnion(some.map(\.offset))
            let prefix = (0..<60 as Range<Int64>).first { !done.contains($0) }
            #expect(try await driver.watermark == prefix)
            await ledger.close()
        }
    }

    @Test("An older generation settles nothing, and cannot come back")
    func generations() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let old = try await SettlementDriver(ledger, generation: 3)
        let entries = try old.entries(Self.samples([0, 1]))
        try await old.settle([entries[0]])
        let new = try await SettlementDriver(ledger, generation: 4, startingAt: 1)
        #expect(try await old.settle([entries[1]]).names == ["fenced"])
        #expect(try await new.watermark == 1)
        #expect(try ledger.reader.count(ScriptedHandler.counts) == 1)
        #expect(try await new.settle(Self.samples([0, 1])).names == ["redelivered", "processed"])
        for generation in [3, 4] as [Int64] {
            let error = await #expect(throws: LedgerError.self) {
                try await SettlementDriver(ledger, generation: generation)
            }
            #expect(error?.code == .fenced)
        }
        await ledger.close()
    }

    @Test("Generations are remembered over reopening")
    func generationsAreDurable() async throws {
        let scratch = try ScratchFolder()
        var ledger = try Self.opened(scratch)
        _ = try await SettlementDriver(ledger, generation: 5)
        await ledger.close()
        ledger = try Self.opened(scratch)
        let error = await #expect(throws: LedgerError.self) { try await SettlementDriver(ledger, generation: 5) }
        #expect(error?.code == .fenced)
        await ledger.close()
    }

    @Test("A fenced lease settles nothing; what it left can be settled by the next")
    func fence() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        driver.lease.fence()
        #expect(try await driver.settle(Self.samples([0])).names == ["fenced"])
        #expect(ledger.journal.count == 0)
        let next = try await SettlementDriver(ledger, generation: 2)
        #expect(try await next.settle(Self.samples([0])).names == ["processed"])
        await ledger.close()
    }

    @Test("Reprocessing forgets the partition's keys from there on, and nothing else")
    func reprocess() async throws {
        let scratch = try ScratchFolder()
        var ledger = try Self.opened(scratch)
        let other = try await SettlementDriver(ledger, partition: 1)
        let driver = try await SettlementDriver(ledger)
        let mixed = try driver.entries(Self.samples([0, 1, 2])) + other.entries([SampleMessage(7, id: "x")], start: 0)
        try await driver.settle(mixed)
        try await driver.settle(Self.samples([3, 4]))
        #expect(ledger.journal.count == 6)
        let again = try await SettlementDriver(ledger, generation: 2, startingAt: 2, restart: true)
        #expect(try await again.watermark == 2)
        #expect(ledger.journal.count == 3)
        // The keys before are known under new offsets too; those from there on are new events.
        let report = try await again.settle(
            Self.samples([2, 3]) + [
                SampleMessage(4, id: "id1"), SampleMessage(5, id: "x"), SampleMessage(6, id: "id4"),
            ]
        )
        #expect(report.names == ["processed", "processed", "duplicate", "duplicate", "processed"])
        #expect(try ledger.reader.get(ScriptedHandler.counts, "id2") == 2)
        #expect(try ledger.reader.get(ScriptedHandler.counts, "id1") == 1)
        await ledger.close()
        ledger = try Self.opened(scratch)
        #expect(ledger.journal.count == 6)
        let after = try await SettlementDriver(ledger, generation: 3)
        #expect(try await after.settle([SampleMessage(9, id: "id3")], start: 7).names == ["duplicate"])
        await ledger.close()
    }

    @Test("A reprocess forgets keys of a window with few fingerprint bits just as well")
    func reprocessWithCollisions() async throws {
        let scratch = try ScratchFolder()
        var configuration = Ledger.Configuration.quick
        configuration.fingerprintBits = 1
        let ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        let driver = try await SettlementDriver(ledger)
        for offset in 0..<20 as Range<Int64> { try await driver.settle(Self.samples([offset])) }
        let again = try await SettlementDriver(ledger, generation: 2, startingAt: 10, restart: true)
        #expect(ledger.journal.count == 10)
        let report = try await again.settle(Self.samples(Array(10..<20)) + [SampleMessage(20, id: "id5")])
        #expect(report.names == Array(repeating: "processed", count: 10) + ["duplicate"])
        await ledger.close()
    }
}
