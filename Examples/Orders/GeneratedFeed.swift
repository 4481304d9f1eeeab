/// Purchases made up from a seed: the same ones for the same seed and count.
final class GeneratedFeed: Feed {
    private static let blockSize = 1000
    /// Three purchases each, as at a real shop, and more each when there are more than so many customers would make.
    private static let mostCustomers = 25_000
    private let count: Int
    private let seed: UInt64
    private let customers: Int
    private var made = 0
    private var generator: SeededGenerator

    init(count: Int, seed: UInt64) {
        self.count = count
        self.seed = seed
        customers = max(1, min(count / 3, Self.mostCustomers))
        generator = SeededGenerator(seed)
    }

    var oversized: Oversized { Oversized() }
    var fraction: Double? { count == 0 ? 1 : Double(made) / Double(count) }

    func next() async throws -> [Line]? {
        guard made < count else { return nil }
        var lines: [Line] = []
        lines.reserveCapacity(Self.blockSize)
        while made < count, lines.count < Self.blockSize {
            made += 1
            lines.append(makeLine(made))
        }
        return lines
    }

    // Every field is made here and none needs escaping, so the line is put together as it is. It has the same bytes in
    // every run: a duplicate with others would be a conflict.
    private func makeLine(_ number: Int) -> Line {
        let customer = Self.padded(Int.random(in: 1...customers, using: &generator), to: 6)
        let month = Int.random(in: 0..<18, using: &generator)
        let day = Int.random(in: 1...28, using: &generator)
        let date = "\(1997 + month / 12)-\(Self.padded(month % 12 + 1, to: 2))-\(Self.padded(day, to: 2))"
        let quantity = Int.random(in: 1...5, using: &generator)
        let cents = quantity * Int.random(in: 599...2499, using: &generator)
        let text = """
            {"id":"generated-\(seed)-\(number)","customer":"\(customer)","date":"\(date)","quantity":\(quantity),"cents":\(cents)}
            """
        return Line(key: Array(customer.utf8), payload: Array(text.utf8))
    }

    private static func padded(_ number: Int, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
