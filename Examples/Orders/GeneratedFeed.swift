/// Purchases made up from a seed: the same ones for the same seed and count.
final class GeneratedFeed: Feed {
    private static let blockSize = 1000
    private let count: Int
    private let seed: UInt64
    private let customers: Int
    private var made = 0
    private var generator: SeededGenerator

    init(count: Int, seed: UInt64) {
        self.count = count
        self.seed = seed
        // Three purchases each, as at a real shop.
        customers = max(1, count / 3)
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
            let purchase = makePurchase(made)
            lines.append(Line(key: Array(purchase.customer.utf8), payload: try purchase.encoded()))
        }
        return lines
    }

    private func makePurchase(_ number: Int) -> Purchase {
        let month = Int.random(in: 0..<18, using: &generator)
        let day = Int.random(in: 1...28, using: &generator)
        let quantity = Int.random(in: 1...5, using: &generator)
        let price = Int.random(in: 599...2499, using: &generator)
        return Purchase(
            id: "generated-\(seed)-\(number)",
            customer: Self.padded(Int.random(in: 1...customers, using: &generator), to: 6),
            date: "\(1997 + month / 12)-\(Self.padded(month % 12 + 1, to: 2))-\(Self.padded(day, to: 2))",
            quantity: quantity,
            cents: quantity * price
        )
    }

    private static func padded(_ number: Int, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
