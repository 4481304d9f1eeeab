import Seeds
import Testing

@testable import Ratchet

@Suite("Position layout")
struct PositionLayoutTests {
    private static func position(_ random: inout SeededRandom) -> PositionLayout.Position {
        var tracker = OffsetTracker(watermark: Int64(random.below(1000)))
        for _ in 0..<random.below(12) {
            let start = tracker.watermark + Int64(random.below(200))
            tracker.settle(start..<start + Int64(random.below(5)) + 1, digest: random.next())
        }
        return PositionLayout.Position(tracker: tracker, generation: Int64(random.below(1 << 40)))
    }

    private static func encode(_ position: PositionLayout.Position) -> [UInt8] {
        var bytes: [UInt8] = [1, 2, 3]
        PositionLayout.encode(position, key: [7], into: &bytes)
        return bytes
    }

    private static func decode(_ bytes: [UInt8], key: [UInt8] = [7]) -> PositionLayout.Position? {
        bytes.withUnsafeBytes { PositionLayout.decode($0, key: key) }
    }

    @Test("A position is read as it was written", arguments: Seed.some(100))
    func roundTrip(seed: Seed) {
        var random = seed.random
        let position = Self.position(&random)
        #expect(Self.decode(Self.encode(position)) == position)
    }

    @Test("Every changed byte and every missing end is found", arguments: Seed.some(20))
    func damageIsFound(seed: Seed) {
        var random = seed.random
        let bytes = Self.encode(Self.position(&random))
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= UInt8.random(in: 1...255, using: &random)
            #expect(Self.decode(damaged) == nil, "byte \(index)")
            #expect(Self.decode(Array(bytes[..<index])) == nil, "the first \(index) bytes")
        }
        #expect(Self.decode(bytes + [0]) == nil)
        #expect(Self.decode(bytes, key: [6]) == nil)
    }

    @Test("No two partitions share a key, and every key fits LMDB")
    func keysDiffer() {
        let names = ["", "a", "ab", "b", "orders", String(repeating: "x", count: 600), "a\u{0}b"]
        var seen: Set<[UInt8]> = []
        for cluster in names {
            for topic in names {
                for group in names {
                    for partition in [0, 1, 255, 256] {
                        let key = PositionLayout.key(
                            cluster: cluster,
                            topic: topic,
                            partition: partition,
                            group: group
                        )
                        #expect((1...511).contains(key.count))
                        #expect(seen.insert(key).inserted)
                    }
                }
            }
        }
    }
}
