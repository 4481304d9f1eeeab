import Seeds

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The input of the tests, and what must come of it by a computation that has nothing of the framework in it.
package struct Purchases: Sendable {
    package let path: String
    package let count: Int
    package let balances: [String: Int]
    package var customers: Int { balances.count }
    package var totalCents: Int { balances.values.reduce(0, +) }
    /// What `orders balances` must print.
    package var listing: String {
        balances.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
            .map { "\($0.key)\t\($0.value)\n" }.joined()
    }

    /// All purchases of a real shop: the file that `RATCHET_PURCHASES` names, else the one beside the package; where
    /// there is neither, as many made up ones in a file at `path`.
    package static func real(orMadeAt path: String) throws -> Purchases {
        let named = ProcessInfo.processInfo.environment["RATCHET_PURCHASES"]
        let shared = URL(filePath: #filePath).appending(path: "../../../../shared/data/cdnow-purchases.ndjson")
        let file = named ?? shared.standardizedFileURL.path()
        if FileManager.default.fileExists(atPath: file) { return try Purchases(path: file) }
        return try made(69_659, customers: 23_570, at: path)
    }

    /// Made up purchases in a file at `path`, the same ones each time.
    package static func made(_ count: Int, customers: Int, at path: String) throws -> Purchases {
        var generator = SeededRandom(state: 1997)
        var text = ""
        for number in 1...count {
            // Every customer once, then anyone.
            let customer = number <= customers ? number : Int.random(in: 1...customers, using: &generator)
            let cents = Int.random(in: 599...9999, using: &generator)
            text += """
                {"id":"made-\(number)","customer":"\(customer)","date":"1997-01-01","quantity":1,"cents":\(cents)}\n
                """
        }
        try Data(text.utf8).write(to: URL(filePath: path))
        return try Purchases(path: path)
    }

    private init(path: String) throws {
        self.path = path
        var balances: [String: Int] = [:]
        var count = 0
        let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        for line in text.split(separator: "\n") {
            let customer = try Self.value(of: "customer", in: line)
            guard let cents = Int(try Self.value(of: "cents", in: line)) else { throw NoPurchase(line: String(line)) }
            balances[customer, default: 0] += cents
            count += 1
        }
        self.balances = balances
        self.count = count
    }

    struct NoPurchase: Error { let line: String }

    private static func value(of field: String, in line: Substring) throws -> String {
        guard let name = line.firstRange(of: "\"\(field)\":") else { throw NoPurchase(line: String(line)) }
        return String(line[name.upperBound...].prefix { $0 != "," && $0 != "}" }.filter { $0 != "\"" })
    }
}
