import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Ledger: each event once")
struct LedgerDeduplicationTests {
    private static func configuration(bits: Int) -> Ledger.Configuration {
        var configuration = Ledger.Configuration.quick
        configuration.fingerprintBits = bits
        return configuration
    }

    /// Checks that each id was counted once, and that the totals add up.
    private static func check(_ ledger: Ledger, ids: Set<String>, delivered: Int) throws {
        for id in ids { #expect(try ledger.reader.get(ScriptedHandler.counts, id) == 1, "\(id)") }
        #expect(try ledger.reader.count(ScriptedHandler.counts) == ids.count)
        let totals = try ledger.totals()
        #expect(totals.processed == ids.count)
        #expect(totals.duplicates == delivered - ids.count)
        #expect(ledger.journal.count == ids.count)
    }

    @Test("Whatever the batches, also while the first copy is not durable yet", arguments: Seed.some(4), [64, 6, 0])
    func histories(seed: Seed, bits: Int) async throws {
        let scratch = try ScratchFolder()
        var random = seed.random
        var ids: Set<String> = []
        var offset: Int64 = 0
        for generation in 1...3 as ClosedRange<Int64> {
            let ledger = try Ledger(at: scratch("ledger"), configuration: Self.configuration(bits: bits))
            let driver = try await SettlementDriver(ledger, generation: generation, startingAt: offset)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<25 {
                    let samples = (0..<random.below(12) + 1).map { index in
                        let id = "id\(random.below(150))"
                        ids.insert(id)
                        return SampleMessage(offset + Int64(index), key: "k\(random.below(5))", id: id, id)
                    }
                    offset += Int64(samples.count)
                    let landed = Latch()
                    driver.submit(try driver.entries(samples)) { result in
                        if case .failure(let error) = result { Issue.record(error) }
                        landed.open()
                    }
                    if random.chance(30) { await landed.wait() } else { group.addTask { await landed.wait() } }
                }
                try await group.waitForAll()
            }
            #expect(try await driver.watermark == offset)
            try Self.check(ledger, ids: ids, delivered: Int(offset))
            await ledger.close()
        }
    }

    @Test("Events of one id in several partitions are one", arguments: [64, 0])
    func partitions(bits: Int) async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: Self.configuration(bits: bits))
        let drivers = [
            try await SettlementDriver(ledger, partition: 0), try await SettlementDriver(ledger, partition: 1),
        ]
        let entries = try drivers.flatMap { try $0.entries([SampleMessage(0, id: "a"), SampleMessage(1, id: "b")]) }
        let report = try await drivers[0].settle(entries)
        #expect(report.names == ["processed", "processed", "duplicate", "duplicate"])
        #expect(try await drivers[1].watermark == 2)
        try Self.check(ledger, ids: ["a", "b"], delivered: 4)
        await ledger.close()
    }

    @Test("Keys that only share a fingerprint are different events")
    func collisions() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: Self.configuration(bits: 0))
        let driver = try await SettlementDriver(ledger)
        for offset in 0..<40 as Range<Int64> { try await driver.settle([SampleMessage(offset, id: "id\(offset)")]) }
        let report = try await driver.settle([SampleMessage(40, id: "id7"), SampleMessage(41, id: "new")])
        #expect(report.names == ["duplicate", "processed"])
        await ledger.close()
    }

    @Test("Without keys each offset is an event")
    func positionOnly() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        let driver = try await SettlementDriver(ledger, keys: .positionOnly)
        let samples = [SampleMessage(0, id: "a"), SampleMessage(1, id: "a")]
        #expect(try await driver.settle(samples).names == ["processed", "processed"])
        #expect(try await driver.settle(samples).names == ["redelivered", "redelivered"])
        #expect(ledger.journal.count == 0)
        await ledger.close()
    }

    @Test("A key that is done is known before its message starts, from anywhere")
    func known() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        let driver = try await SettlementDriver(ledger)
        try await driver.settle([SampleMessage(0, id: "a")])
        let entries = try driver.entries([SampleMessage(1, id: "a"), SampleMessage(2, id: "b")])
        #expect(try ledger.isKnownDuplicate(entries[0]))
        #expect(try !ledger.isKnownDuplicate(entries[1]))
        await ledger.close()
    }

    @Test(
        "The same id with another payload: the first one stays",
        arguments: [(PayloadConflict.keepFirst, 1, 0), (.deadLetter, 1, 1), (.ignore, 0, 0)]
    )
    func conflict(policy: PayloadConflict, conflicts: Int, letters: Int) async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        let driver = try await SettlementDriver(ledger)
        var handler = ScriptedHandler()
        handler.conflicts = policy
        try await driver.settle([SampleMessage(0, id: "a", "first")], with: handler)
        let samples = [SampleMessage(1, id: "a", "other"), SampleMessage(2, id: "a", "first")]
        let report = try await driver.settle(samples, with: handler)
        #expect(report.names == ["duplicate", "duplicate"])
        #expect(report.conflicts.count == conflicts)
        #expect(try ledger.totals().conflicts == conflicts)
        #expect(try ledger.reader.deadLetters().map(\.reason) == Array(repeating: .conflict, count: letters))
        #expect(try ledger.reader.get(ScriptedHandler.counts, "a") == 1)
        #expect(try await driver.watermark == 3)
        await ledger.close()
    }

    @Test("What was recorded while payloads were not compared is no conflict later")
    func conflictPolicyChanges() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        let driver = try await SettlementDriver(ledger)
        var handler = ScriptedHandler()
        handler.conflicts = .ignore
        try await driver.settle([SampleMessage(0, id: "a", "first")], with: handler)
        #expect(try await driver.settle([SampleMessage(1, id: "a", "first")]).conflicts == [])
        await ledger.close()
    }
}
