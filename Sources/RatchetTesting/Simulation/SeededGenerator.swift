/// Random numbers that a seed decides, the same on every machine: SplitMix64 by Steele, Lea and Flood.
struct SeededGenerator: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A generator of its own for one purpose: what one draws moves no other.
    init(seed: UInt64, purpose: UInt64) {
        var generator = SeededGenerator(seed: seed ^ purpose &* 0xd6e8_feb8_6659_fd93)
        state = generator.next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1; `bound` is 1 or more.
    mutating func next(below bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

    mutating func next(in range: Range<Int>) -> Int {
        range.lowerBound + Int(next(below: UInt64(range.count)))
    }

    mutating func chance(_ percent: Int) -> Bool { next(below: 100) < UInt64(percent) }
}
