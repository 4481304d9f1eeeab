import Testing

@testable import Ratchet

@Suite("Ledger: the deduplication window")
struct LedgerWindowTests {
    private static func configuration(_ time: ManualTime, _ window: DeduplicationWindow) -> Ledger.Configuration {
        var configuration = Ledger.Configuration.quick
        configuration.time = time.source
        configuration.window = window
        return configuration
    }

    private static func id(_ offset: Int64, _ id: String) -> [SampleMessage] { [SampleMessage(offset, id: id)] }

    @Test("A key is remembered for the window's time, and not much longer")
    func byTime() async throws {
        let scratch = try ScratchFolder()
        let time = ManualTime()
        let ledger = try Ledger(
            at: scratch("ledger"),
            configuration: Self.configuration(time, .init(time: .seconds(10)))
        )
        let driver = try await SettlementDriver(ledger)
        try await driver.settle(Self.id(0, "a"))
        time.advance(milliseconds: 10_000)
        #expect(!ledger.hasExpired)
        #expect(try await driver.settle(Self.id(1, "a")).names == ["duplicate"])
        time.advance(milliseconds: 1)
        #expect(ledger.hasExpired)
        try await ledger.expire()
        #expect(!ledger.hasExpired)
        #expect(ledger.journal.count == 0)
        #expect(try await driver.settle(Self.id(2, "a")).names == ["processed"])
        #expect(try ledger.totals().evicted == 0)
        await ledger.close()
    }

    @Test("Leaps of the wall clock, while open or closed, forget nothing too early")
    func wallClock() async throws {
        let scratch = try ScratchFolder()
        let time = ManualTime()
        var configuration = Self.configuration(time, .init(time: .seconds(10)))
        configuration.longestDowntime = .seconds(4)
        var generation: Int64 = 1
        for leap in [0, 1_000_000, -2_000_000, 5_000_000] as [Int64] {
            let ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
            let driver = try await SettlementDriver(ledger, generation: generation)
            let report = try await driver.settle(Self.id(generation, "a"))
            #expect(report.names == [generation == 1 ? "processed" : "duplicate"])
            time.leap(milliseconds: leap)
            #expect(!ledger.hasExpired)
            await ledger.close()
            generation += 1
        }
    }

    @Test("Time that passed while it was closed counts")
    func downtime() async throws {
        let scratch = try ScratchFolder()
        let time = ManualTime()
        let configuration = Self.configuration(time, .init(time: .seconds(10)))
        var ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        try await SettlementDriver(ledger).settle(Self.id(0, "a"))
        await ledger.close()
        time.advance(milliseconds: 10_001)
        ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        #expect(ledger.hasExpired)
        await ledger.close()
    }

    @Test("Over its count it forgets the oldest, and says how many")
    func byCount() async throws {
        let scratch = try ScratchFolder()
        let configuration = Self.configuration(ManualTime(), .init(count: 5))
        let ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        let driver = try await SettlementDriver(ledger)
        var evicted = 0
        for offset in 0..<20 as Range<Int64> {
            evicted += try await driver.settle(Self.id(offset, "id\(offset)")).evicted
            #expect(ledger.journal.count <= 5)
            #expect(!ledger.isWindowFull)
        }
        #expect(evicted == 15)
        #expect(try ledger.totals().evicted == 15)
        #expect(try await driver.settle(Self.id(20, "id19")).names == ["duplicate"])
        #expect(try await driver.settle(Self.id(21, "id0")).names == ["processed"])
        await ledger.close()
    }

    @Test("A window that pauses says that it is full, and forgets nothing before its time")
    func pauses() async throws {
        let scratch = try ScratchFolder()
        let time = ManualTime()
        let window = DeduplicationWindow(time: .seconds(10), count: 3, overflow: .pause)
        let ledger = try Ledger(at: scratch("ledger"), configuration: Self.configuration(time, window))
        let driver = try await SettlementDriver(ledger)
        for offset in 0..<6 as Range<Int64> {
            let report = try await driver.settle(Self.id(offset, "id\(offset)"))
            #expect(report.isWindowFull == (offset >= 2))
            #expect(report.evicted == 0)
        }
        #expect(ledger.isWindowFull)
        #expect(try await driver.settle(Self.id(6, "id0")).names == ["duplicate"])
        time.advance(milliseconds: 10_001)
        try await ledger.expire()
        #expect(!ledger.isWindowFull)
        await ledger.close()
    }

    @Test("What has expired is gone from the journal and stays away after reopening")
    func expiryIsDurable() async throws {
        let scratch = try ScratchFolder()
        let time = ManualTime()
        let configuration = Self.configuration(time, .init(time: .seconds(10)))
        var ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        let driver = try await SettlementDriver(ledger)
        for offset in 0..<10 as Range<Int64> {
            try await driver.settle(Self.id(offset, "id\(offset)"))
            time.advance(milliseconds: 2_000)
        }
        let count = ledger.journal.count
        #expect((5...7).contains(count))
        await ledger.close()
        ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        #expect(ledger.journal.count == count)
        let report = try await SettlementDriver(ledger, generation: 2).settle(Self.id(10, "id9"))
        #expect(report.names == ["duplicate"])
        await ledger.close()
    }

    @Test("Settings of any size are taken: a window for ever")
    func forEver() async throws {
        let scratch = try ScratchFolder()
        var configuration = Self.configuration(ManualTime(), .init(time: .seconds(Int64.max), count: .max))
        configuration.longestDowntime = .seconds(Int64.max)
        let ledger = try Ledger(at: scratch("ledger"), configuration: configuration)
        #expect(try await SettlementDriver(ledger).settle(Self.id(0, "a")).names == ["processed"])
        #expect(!ledger.hasExpired)
        await ledger.close()
    }

    @Test("A window of nothing is refused")
    func invalid() throws {
        let scratch = try ScratchFolder()
        for window in [DeduplicationWindow(time: .zero), .init(count: 0)] {
            let error = #expect(throws: LedgerError.self) {
                try Ledger(at: scratch("ledger"), configuration: Self.configuration(ManualTime(), window))
            }
            #expect(error?.code == .invalidArgument)
        }
    }
}
