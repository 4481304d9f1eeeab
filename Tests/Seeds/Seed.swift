#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where a test's history, or its damage, comes from. It is printed with the test's result; `RATCHET_SEED` runs that one
/// alone.
package struct Seed: Hashable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(value: UInt64) { self.value = value }

    package var description: String { "RATCHET_SEED=\(value)" }
    package var random: SeededRandom { SeededRandom(state: value) }

    /// `count` new seeds, or the one that the environment asks for.
    package static func some(_ count: Int) -> [Seed] {
        if let text = getenv("RATCHET_SEED"), let value = UInt64(String(cString: text)) { return [Seed(value: value)] }
        return (0..<count).map { _ in Seed(value: .random(in: 1...9_999_999)) }
    }
}

/// SplitMix64: the same numbers for the same seed.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    package var state: UInt64

    package init(state: UInt64) { self.state = state }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }
}
