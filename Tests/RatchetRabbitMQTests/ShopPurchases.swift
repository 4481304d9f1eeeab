#if RabbitMQ
    import FoundationEssentials
    import Ratchet
    import Seeds

    /// The purchases of a shop, and what must come of them.
    struct ShopPurchases {
        private struct Purchase: Decodable {
            let customer: String
            let cents: Int
        }

        /// JSON, one for each purchase.
        private(set) var lines: [[UInt8]] = []
        private(set) var balances: [String: Int] = [:]
        var totalCents: Int { balances.values.reduce(0, +) }

        /// What `orders balances` must print.
        var listing: String {
            balances.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
                .map { "\($0.key)\t\($0.value)\n" }.joined()
        }

        /// All purchases of a real shop: the file that `RATCHET_PURCHASES` names, else the one beside the package; where
        /// there is neither, as many made up ones, by the seed.
        init(_ seed: Seed) throws {
            let named = ProcessInfo.processInfo.environment["RATCHET_PURCHASES"]
            let shared = #filePath.replacing(
                "/Tests/RatchetRabbitMQTests/ShopPurchases.swift",
                with: "/../shared/data/cdnow-purchases.ndjson"
            )
            let path = named ?? shared
            guard FileManager.default.fileExists(atPath: path) else {
                try make(seed)
                return
            }
            for line in try Data(contentsOf: URL(filePath: path)).split(separator: UInt8(ascii: "\n")) {
                try append(Array(line))
            }
        }

        private mutating func make(_ seed: Seed) throws {
            var random = seed.random
            for number in 1...69_659 {
                // Every customer once, then anyone.
                let customer = number <= 23_570 ? number : 1 + random.below(23_570)
                let cents = 599 + random.below(9_400)
                let line =
                    #"{"id":"made-\#(number)","customer":"\#(customer)","date":"1997-01-01","quantity":1,"cents":\#(cents)}"#
                try append(Array(line.utf8))
            }
        }

        private mutating func append(_ line: [UInt8]) throws {
            let purchase = try JSONDecoder().decode(Purchase.self, from: Data(line))
            balances[purchase.customer, default: 0] += purchase.cents
            lines.append(line)
        }
    }
#endif
