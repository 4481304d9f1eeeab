import LMDB
import Testing

@testable import Ratchet

@Suite("Ledger: writes that are refused or fail, and what is believed after them", .timeLimit(.minutes(30)))
struct LedgerFailureTests {
    private static let blobs = StateTable<Int, [UInt8]>("blobs")

    private static func open(_ path: String) throws -> Ledger {
        var configuration = Ledger.Configuration.quick
        configuration.mapSize = 1 << 20
        configuration.quota = 1 << 20
        return try Ledger(at: path, configuration: configuration)
    }

    /// Calls `body` with ledgers that have less and less room, until one cannot even be filled so far. How much room a
    /// transaction must have for only its commit to fail is LMDB's affair: all amounts are tried.
    private static func withEveryRoom(_ body: (Ledger, _ path: String) async throws -> Void) async throws {
        let scratch = try ScratchFolder()
        for pages in 190..<256 {
            let path = scratch("ledger\(pages)")
            let ledger = try open(path)
            let isFilled: Bool
            do {
                try await ledger.write { transaction in
                    for page in 0..<pages { try transaction.put(blobs, page, [UInt8](repeating: 1, count: 4000)) }
                }
                isFilled = true
            } catch { isFilled = false }
            if isFilled { try await body(ledger, path) }
            await ledger.close()
            if !isFilled { return }
        }
    }

    private static func lease(_ ledger: Ledger, generation: Int64, at offset: Int64) async throws -> PartitionLease {
        try await ledger.lease(
            SettlementDriver.key(0),
            of: .orders,
            generation: generation,
            slot: 1,
            startingAt: offset,
            restart: false
        )
    }

    @Test("A lease that is not committed is not believed: nothing more is written until the ledger is opened again")
    func leaseFails() async throws {
        var failed: Set<String> = []
        try await Self.withEveryRoom { ledger, path in
            let error: LMDBError
            do {
                _ = try await Self.lease(ledger, generation: 1, at: 5)
                return
            } catch let caught as LMDBError { error = caught }
            guard error.code == .mapFull else { return }
            failed.insert(error.operation)
            let later = await #expect(throws: LedgerError.self) {
                try await ledger.position(SettlementDriver.key(0))
            }
            #expect(later?.code == .failed)
            await ledger.close()
            let again = try Ledger(at: path, configuration: .quick)
            #expect(try await again.position(SettlementDriver.key(0)) == nil)
            #expect(try await Self.lease(again, generation: 1, at: 7).startOffset == 7)
            await again.close()
        }
        #expect(failed.contains("commit"))
    }

    @Test("A binding that is not committed binds to nobody, and the ledger goes on")
    func bindFails() async throws {
        var failed: Set<String> = []
        try await Self.withEveryRoom { ledger, path in
            do {
                try await ledger.bind(to: "billing")
                return
            } catch let error as LMDBError where error.code == .mapFull {
                failed.insert(error.operation)
            } catch is LMDBError { return }
            let other = await #expect(throws: LMDBError.self) { try await ledger.bind(to: "shipping") }
            #expect(other?.code == .mapFull)
            #expect(try await ledger.position(SettlementDriver.key(0)) == nil)
            await ledger.close()
            let again = try Ledger(at: path, configuration: .quick)
            try await again.bind(to: "shipping")
            await again.close()
        }
        #expect(failed.contains("commit"))
    }

    @Test("What the quota refuses before it begins changes nothing: with room again the ledger goes on")
    func refused() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        try await ledger.write { transaction in
            for page in 0..<100 { try transaction.put(Self.blobs, page, [UInt8](repeating: 1, count: 4000)) }
        }
        ledger.environment.setQuota(1 << 16)
        var keys = KeyBatch()
        try keys.append("a")
        for attempt in [
            { try await ledger.bind(to: "billing") },
            { _ = try await Self.lease(ledger, generation: 1, at: 5) },
            { [keys] in _ = try await ledger.remember(keys) },
        ] as [() async throws -> Void] {
            let error = await #expect(throws: LMDBError.self) { try await attempt() }
            #expect(error?.code == .quotaExceeded)
        }
        ledger.environment.setQuota(1 << 30)
        try await ledger.bind(to: "shipping")
        #expect(try await Self.lease(ledger, generation: 1, at: 7).startOffset == 7)
        #expect(try await ledger.remember(keys) == [true])
        await ledger.close()
    }

    @Test("An expiry that is not committed is not believed either")
    func expiryFails() async throws {
        let time = ManualTime()
        let scratch = try ScratchFolder()
        var configuration = Ledger.Configuration.quick
        configuration.time = time.source
        configuration.window = DeduplicationWindow(time: .seconds(10), count: 100)
        let ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        try await SettlementDriver(ledger).settle([SampleMessage(0, id: "a")])
        time.advance(milliseconds: 10_001)
        let (gate, busy) = (Gate(), Latch())
        async let held: Void = ledger.write { _ in
            busy.open()
            gate.wait()
        }
        await busy.wait()
        let expired = Task { try await ledger.expire() }
        while ledger.writer.waitingPieces < 1 { await Task.yield() }
        // Shares the commit with the expiry, and undoes it.
        ledger.writer.submit(RefusingPiece())
        gate.open()
        try await held
        await #expect(throws: RefusingPiece.Refused.self) { try await expired.value }
        let later = await #expect(throws: LedgerError.self) { try await ledger.position(SettlementDriver.key(0)) }
        #expect(later?.code == .failed)
        await ledger.close()
        let again = try Ledger(at: scratch("ledger"), configuration: .quick)
        #expect(again.keyCount == 1)
        await again.close()
    }
}

/// A piece that undoes all that shares its commit.
final class RefusingPiece: WritePiece {
    struct Refused: Error {}

    var byteCount: Int { 0 }
    var failsAlone: Bool { false }
    func write(in transaction: borrowing WriteTransaction) throws { throw Refused() }
    func completed(_ result: Result<Void, any Error>) {}
}
