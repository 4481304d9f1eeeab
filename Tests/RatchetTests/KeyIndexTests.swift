import Seeds
import Testing

@testable import Ratchet

@Suite("Key index")
struct KeyIndexTests {
    private static func candidates(_ index: borrowing KeyIndex, _ fingerprint: UInt64) -> [UInt32] {
        var found: [UInt32] = []
        _ = index.contains(fingerprint) { sequence in
            found.append(sequence)
            return false
        }
        return found.sorted()
    }

    @Test("It finds what was entered and not removed, and nothing else", arguments: Seed.some(20))
    func isAMultimap(seed: Seed) {
        var random = seed.random
        var index = KeyIndex()
        var model: [UInt64: [UInt32]] = [:]
        // Few segments, so that they grow; tags above 1, because 0 is kept as 1.
        let pool = (0..<200).map { _ in UInt64(random.below(4)) | UInt64(random.below(1 << 30) + 2) << 10 }
        for _ in 0..<3000 {
            let fingerprint = pool[random.below(pool.count)]
            if random.chance(60) {
                let sequence = UInt64(random.below(50))
                index.insert(fingerprint, sequence: sequence)
                model[fingerprint, default: []].append(UInt32(sequence))
            } else {
                let sequence = UInt64(random.below(50))
                let place = model[fingerprint]?.firstIndex(of: UInt32(sequence))
                let isRemoved = index.remove(fingerprint, sequence: sequence)
                #expect(isRemoved == (place != nil))
                if let place { model[fingerprint]?.remove(at: place) }
            }
        }
        var count = index.count
        #expect(count == model.values.reduce(0) { $0 + $1.count })
        for fingerprint in pool {
            let found = Self.candidates(index, fingerprint)
            #expect(found == (model[fingerprint] ?? []).sorted())
        }
        for fingerprint in pool {
            for sequence in model[fingerprint] ?? [] {
                let isRemoved = index.remove(fingerprint, sequence: UInt64(sequence))
                #expect(isRemoved)
            }
            model[fingerprint] = []
        }
        count = index.count
        #expect(count == 0)
    }

    @Test("With few fingerprint bits it never loses a key", arguments: Seed.some(10), [0, 4, 11])
    func fewBits(seed: Seed, bits: Int) {
        var random = seed.random
        var index = KeyIndex()
        var model: [UInt64: Set<UInt32>] = [:]
        for sequence in 0..<600 as Range<UInt64> {
            let fingerprint = random.next() & ((1 << UInt64(bits)) - 1)
            index.insert(fingerprint, sequence: sequence)
            model[fingerprint, default: []].insert(UInt32(sequence))
        }
        for (fingerprint, sequences) in model {
            let found = Self.candidates(index, fingerprint)
            #expect(sequences.isSubset(of: found))
        }
    }

    @Test("It stops where the caller has found what it looks for")
    func stopsWhenFound() {
        var index = KeyIndex()
        for sequence in 1...5 as ClosedRange<UInt64> { index.insert(99, sequence: sequence) }
        var looks = 0
        let found = index.contains(99) { _ in
            looks += 1
            return looks == 2
        }
        #expect(found)
        #expect(looks == 2)
    }

    @Test("It takes no more than 21 bytes a key at size")
    func memoryIsBounded() {
        var random = SeededRandom(state: 1)
        var index = KeyIndex()
        for count in 1...400_000 {
            index.insert(random.next(), sequence: UInt64(count / 1000))
            guard count >= 100_000, count % 10_000 == 0 else { continue }
            let size = index.byteCount
            #expect(size <= count * 21)
        }
    }
}
