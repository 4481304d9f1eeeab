import Ratchet
import Seeds

extension [UInt8] {
    /// These bytes after one to four changes, of the kinds that find what a decoder forgot to check.
    func damaged(by other: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = self
        for _ in 0...random.below(4) { bytes.damage(by: other, &random) }
        return bytes
    }

    private mutating func damage(by other: [UInt8], _ random: inout SeededRandom) {
        guard !isEmpty else { return self = other }
        let at = random.below(count)
        let length = random.below(Swift.min(count - at, 16) + 1)
        switch random.below(9) {
        case 0: self[at] ^= 1 << UInt8(random.below(8))
        case 1: self[at] = UInt8(truncatingIfNeeded: random.next())
        case 2: removeLast(count - at)
        case 3: removeSubrange(at..<at + length)
        case 4: insert(contentsOf: self[at..<at + length], at: random.below(count + 1))
        case 5: self = self[..<at] + other.suffix(random.below(other.count + 1))
        case 6: append(contentsOf: random.bytes(random.below(20)))
        default: overwriteInteger(at, &random)
        }
    }

    /// Puts an extreme, the number of bytes, or a number close to what is there where a length may be.
    private mutating func overwriteInteger(_ at: Int, _ random: inout SeededRandom) {
        let width = Swift.min(1 << random.below(4), count - at)
        let isBigEndian = random.chance(30)
        let places = (0..<width).map { isBigEndian ? at + width - 1 - $0 : at + $0 }
        let old = places.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(self[$1]) }
        let near = UInt64(random.below(3) + 1)
        let extremes: [UInt64] = [
            0, 1, .max, .max >> 1, .max << 63, UInt64(Int32.max), 1 << 31, 0x7f, 0x7fff, UInt64(count), old &+ near,
            old &- near, ~old,
        ]
        let new = extremes[random.below(extremes.count)]
        for (index, place) in places.enumerated() { self[place] = UInt8(truncatingIfNeeded: new >> (8 * index)) }
    }

    /// Makes the last eight bytes the checksum of those before them, so that a decoder gets past it.
    mutating func sealEnd(seed: UInt64) {
        guard count >= 8 else { return }
        removeLast(8)
        appendLittleEndian(withUnsafeBytes { Checksum.xxh64($0, seed: seed) })
    }
}
