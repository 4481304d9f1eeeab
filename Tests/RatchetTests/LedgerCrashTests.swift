import CFaults
import LMDB
import Synchronization
import Testing

@testable import Ratchet

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite("Ledger: crashes and full disks")
struct LedgerCrashTests {
    private struct Failure: Error {}

    private static var durable: Ledger.Configuration {
        var configuration = Ledger.Configuration.quick
        configuration.isDurable = true
        return configuration
    }

    private static func samples(_ offsets: Range<Int64>) -> [SampleMessage] {
        offsets.map { SampleMessage($0, id: "id\($0)") }
    }

    /// Everything in a ledger says the same: `settled` messages from the first on.
    private static func check(_ path: String, settled: Int64) async throws {
        let ledger = try Ledger(at: path, configuration: .quick)
        #expect(try await ledger.position(SettlementDriver.key(0))?.watermark ?? 0 == settled)
        #expect(try ledger.totals().processed == Int(settled))
        #expect(try ledger.reader.count(ScriptedHandler.counts) == Int(settled))
        #expect(ledger.journal.count == Int(settled))
        let driver = try await SettlementDriver(ledger, generation: 99)
        let report = try await driver.settle(samples(0..<settled + 10), start: 0)
        #expect(report.names.filter { $0 == "processed" }.count == 10)
        await ledger.close()
    }

    @Test(
        "What a copy of the files holds at any moment is a whole number of batches, and none that was reported is missing"
    )
    func copiesMidRun() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: Self.durable)
        let driver = try await SettlementDriver(ledger)
        for number in 0..<12 as Range<Int64> {
            try await driver.settle(Self.samples(number * 10..<number * 10 + 10))
            let copy = try scratch.copy("ledger", to: "copy\(number)")
            try await Self.check(copy, settled: number * 10 + 10)
        }
        await ledger.close()
    }

    @Test(
        "After a failed sync nothing more is written, and only what was reported durable is believed",
        arguments: [1, 2, 5]
    )
    func failedSync(nth: UInt32) async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: Self.durable)
        let driver = try await SettlementDriver(ledger)
        try await driver.settle(Self.samples(0..<10))
        let before = try scratch.copy("ledger", to: "before")
        let watch = faults_arm(Int32(FAULTS_FDATASYNC), "\(scratch.path)/ledger", nth, EIO)
        defer { faults_disarm(watch) }
        var settled: Int64 = 10
        var failure: (any Error)?
        while failure == nil, settled < 200 {
            do {
                try await driver.settle(Self.samples(settled..<settled + 10))
                settled += 10
            } catch { failure = error }
        }
        #expect(failure != nil)
        for _ in 0..<3 {
            await #expect(throws: (any Error).self) { try await driver.settle(Self.samples(settled..<settled + 10)) }
            await #expect(throws: (any Error).self) { try await ledger.write { _ in } }
            await #expect(throws: (any Error).self) { try await ledger.position(SettlementDriver.key(0)) }
        }
        #expect(throws: (any Error).self) { try Ledger(at: scratch("ledger"), configuration: Self.durable) }
        await ledger.close()
        try await Self.check(before, settled: 10)
    }

    @Test("A full quota refuses the batch and loses nothing; with room again it goes on")
    func quota() async throws {
        let scratch = try ScratchFolder()
        var configuration = Ledger.Configuration.quick
        configuration.quota = 1 << 20
        let ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        let driver = try await SettlementDriver(ledger)
        var handler = ScriptedHandler()
        let blobs = StateTable<Int, [UInt8]>("blobs")
        let count = handler.body
        handler.body = { entry, transaction in
            try count(entry, transaction)
            try transaction.put(blobs, Int(entry.offset), [UInt8](repeating: 1, count: 50_000))
        }
        var settled: Int64 = 0
        let error = await #expect(throws: LMDBError.self) {
            while settled < 1000 {
                try await driver.settle([SampleMessage(settled, id: "id\(settled)")], with: handler)
                settled += 1
            }
        }
        #expect(error?.code == .quotaExceeded)
        #expect(settled > 3)
        // Pieces behind the one that was refused are not written either: they would pass it.
        await #expect(throws: (any Error).self) { try await driver.settle([SettlementEntry]()) }
        await ledger.close()
        try await Self.check(scratch("ledger"), settled: settled)
    }

    @Test("A piece behind one that was refused is not written, also in the same commit")
    func piecesKeepTheirOrder() async throws {
        let scratch = try ScratchFolder()
        var configuration = Ledger.Configuration.quick
        configuration.quota = 4 << 20
        let ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        let driver = try await SettlementDriver(ledger)
        var large = try driver.entries([SampleMessage(0, key: "a", id: "0")])
        let effects = MessageEffects()
        let payload = [UInt8](repeating: 0, count: 8 << 20)
        try effects.publish(OutgoingMessage(to: "receipts", payload: payload)) { _, _ in }
        large[0].result = .effects(effects)
        let results = Mutex<[Bool]>([])
        let landed = Latch()
        let pieces = [large, try driver.entries([SampleMessage(1, key: "a", id: "1")])]
        // Handed over while the writer is busy, so that they share a commit.
        try await ledger.write { _ in
            for piece in pieces {
                driver.submit(piece) { result in
                    let count = results.withLock { results in
                        results.append((try? result.get()) != nil)
                        return results.count
                    }
                    if count == 2 { landed.open() }
                }
            }
        }
        await landed.wait()
        #expect(results.withLock { $0 } == [false, false])
        await ledger.close()
        try await Self.check(scratch("ledger"), settled: 0)
    }
}
