import Seeds
import Testing

@testable import Ratchet

@Suite("Ledger clock")
struct LedgerClockTests {
    private static let longest: Int64 = 10_000

    @Test("A new ledger begins at zero and follows the monotonic clock")
    func new() {
        let clock = LedgerClock(last: nil, wall: 1 << 40, monotonic: 500, longestDowntime: Self.longest)
        #expect(clock.time(atMonotonic: 500) == 0)
        #expect(clock.time(atMonotonic: 800) == 300)
        #expect(clock.time(atMonotonic: 100) == 0)
    }

    @Test("The time it was closed is credited up to the longest downtime")
    func downtime() {
        func opened(wall: Int64) -> LedgerClock {
            LedgerClock(last: (ledger: 7, wall: 1_000), wall: wall, monotonic: 0, longestDowntime: Self.longest)
        }
        #expect(opened(wall: 1_250).downtime == .credited(250))
        #expect(opened(wall: 1_250).time(atMonotonic: 0) == 257)
        #expect(opened(wall: 11_000).downtime == .credited(10_000))
        #expect(opened(wall: 11_001).downtime == .capped(excess: 1))
        #expect(opened(wall: 11_001).time(atMonotonic: 0) == 10_007)
        #expect(opened(wall: 999).downtime == .wentBack(1))
        #expect(opened(wall: 999).time(atMonotonic: 0) == 7)
    }

    @Test("The ends of the integers are no exception", arguments: [Int64.min, -1, 0, .max])
    func extremes(wall: Int64) {
        for last in [Int64.min, 0, .max] {
            for longest in [0, Self.longest, .max] as [Int64] {
                let clock = LedgerClock(
                    last: (ledger: 50, wall: last),
                    wall: wall,
                    monotonic: 0,
                    longestDowntime: longest
                )
                let credited = clock.time(atMonotonic: 0).subtractingReportingOverflow(50)
                #expect(!credited.overflow && credited.partialValue >= 0 && credited.partialValue <= longest)
                if wall < last, case .wentBack = clock.downtime { #expect(credited.partialValue == 0) }
                if wall < last { #expect(credited.partialValue == 0) }
            }
        }
    }

    @Test("No jump of the wall clock takes ledger time back or too far ahead", arguments: Seed.some(100))
    func neverLeaps(seed: Seed) {
        var random = seed.random
        var last: (ledger: Int64, wall: Int64)?
        var wall: Int64 = 1_700_000_000_000
        var before: Int64 = 0
        for _ in 0..<50 {
            wall += Int64.random(in: -100_000...100_000, using: &random)
            let start = Int64(random.below(1_000_000))
            let clock = LedgerClock(last: last, wall: wall, monotonic: start, longestDowntime: Self.longest)
            let opened = clock.time(atMonotonic: start)
            #expect(opened >= before && opened <= before + Self.longest)
            let ran = Int64(random.below(5_000))
            wall += Int64.random(in: -100_000...100_000, using: &random)
            before = clock.time(atMonotonic: start + ran)
            #expect(before == opened + ran)
            last = (ledger: before, wall: wall)
        }
    }
}
