import Ratchet
import RatchetBroker

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Whether each purchase that the broker has acknowledged has one receipt: one identity with one content, however often
/// it was sent.
struct Verdict: CustomStringConvertible {
    private struct Purchase: Decodable, Hashable {
        var id: String
        var customer: String
        var cents: Int
    }

    private var purchases: Set<Purchase> = []
    private var lost = 0
    private var twice = 0
    /// The sum of all receipts, each once.
    private var cents = 0

    init(_ collected: Collected, of broker: Broker) async throws {
        var purchases: Set<Purchase> = []
        try await broker.forEachBatch(of: "orders") { batch in
            for index in 0..<batch.count {
                purchases.insert(try JSONDecoder().decode(Purchase.self, from: Data(batch[index].payload)))
            }
        }
        self.purchases = purchases
        let receipts = try Self.receipts(collected)
        for purchase in purchases {
            let number = receipts[purchase]?.count ?? 0
            if number == 0 { lost += 1 }
            if number > 1 { twice += 1 }
            cents += number * purchase.cents
        }
        if let odd = receipts.keys.first(where: { !purchases.contains($0) }) {
            throw Problem("a receipt for what nobody has bought: \(odd)")
        }
        guard Set(purchases.map(\.id)).count == purchases.count else { throw Problem("two purchases of one id") }
    }

    /// The different receipts of each purchase.
    private static func receipts(_ collected: Collected) throws -> [Purchase: Set<String>] {
        var receipts: [Purchase: Set<String>] = [:]
        var contents: [Substring: String] = [:]
        for text in collected.seen.values {
            let parts = text.split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 5, let cents = Int(parts[3]) else { throw Problem("no receipt: '\(text)'") }
            if let other = contents.updateValue(text, forKey: parts[0]), other != text {
                throw Problem("one id with two contents: '\(other)' and '\(text)'")
            }
            let purchase = Purchase(id: String(parts[1]), customer: String(parts[2]), cents: cents)
            receipts[purchase, default: []].insert(text)
        }
        return receipts
    }

    /// For `Tests/Crash/runs.sh`.
    var description: String {
        "{\"purchases\":\(purchases.count),\"lost\":\(lost),\"twice\":\(twice),\"cents\":\(cents)}"
    }
}
