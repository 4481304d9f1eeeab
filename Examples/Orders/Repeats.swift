/// Chooses the purchases that are published a second time, and when: later, among others.
struct Repeats: Sendable {
    private static let capacity = 10_000
    private let share: Double
    private var generator: SeededGenerator
    private var waiting: [Line] = []

    /// Repeats a share of them, 0 to 1: the same ones for the same seed.
    init(share: Double, seed: UInt64) {
        self.share = share
        generator = SeededGenerator(~seed)
    }

    /// What is to be published again now that `line` was published for the first time, nil for nothing.
    mutating func next(after line: Line) -> Line? {
        // Only purchases: what is none has no id by which it could be called the same.
        guard share > 0, line.key != nil, Double.random(in: 0..<1, using: &generator) < share else { return nil }
        waiting.append(line)
        return waiting.count > Self.capacity ? takeAny() : nil
    }

    /// One of those that are left at the end of the input, nil after the last one.
    mutating func nextAtEnd() -> Line? { waiting.isEmpty ? nil : takeAny() }

    private mutating func takeAny() -> Line {
        waiting.swapAt(Int.random(in: waiting.indices, using: &generator), waiting.count - 1)
        return waiting.removeLast()
    }
}
