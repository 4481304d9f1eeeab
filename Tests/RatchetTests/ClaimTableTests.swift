import Seeds
import Testing

@testable import Ratchet

@Suite("Claim table")
struct ClaimTableTests {
    @Test("One holds a key; whoever waits is told in the order of arrival", arguments: Seed.some(50))
    func oneHolder(seed: Seed) {
        var random = seed.random
        var table = ClaimTable()
        var held: [UInt64: [ClaimTable.Waiter]] = [:]
        for number in 0..<500 {
            let key = UInt64(random.below(6))
            if random.chance(60) {
                let waiter = ClaimTable.Waiter(pipeline: random.below(3), message: number)
                let isTaken = table.claim(key, for: waiter)
                #expect(isTaken == (held[key] == nil))
                if held[key] == nil { held[key] = [] } else { held[key]?.append(waiter) }
            } else {
                let waiters = table.release(key)
                #expect(waiters == held[key] ?? [])
                held[key] = nil
            }
            #expect(table.count == held.count)
            for key in 0..<6 as Range<UInt64> { #expect(table.isClaimed(key) == (held[key] != nil)) }
        }
    }

    @Test("What a pipeline holds that has ended is given back, and nobody else's")
    func ended() {
        var table = ClaimTable()
        for (pipeline, key) in [(1, 30), (1, 10), (2, 20)] as [(Int, UInt64)] {
            let isTaken = table.claim(key, for: .init(pipeline: pipeline, message: 0))
            #expect(isTaken)
        }
        for (message, key) in [(5, 30), (6, 10), (7, 20)] as [(Int, UInt64)] {
            let isTaken = table.claim(key, for: .init(pipeline: 3, message: message))
            #expect(!isTaken)
        }
        let waiters = table.releaseAll(of: 1)
        #expect(waiters.map(\.message) == [6, 5])
        #expect(table.isClaimed(20) && !table.isClaimed(10) && !table.isClaimed(30))
    }
}
