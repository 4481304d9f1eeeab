import Ratchet
import RatchetBroker

/// The program of the article "Getting started".
@main
struct GettingStarted {
    struct Order: Codable, Sendable {
        var id: String
        var customer: String
        var cents: Int
    }

    static func main() async throws {
        guard CommandLine.arguments.count == 2 else {
            print("usage: getting-started FOLDER   (an existing folder for the broker and the ledger)")
            return
        }
        let folder = CommandLine.arguments[1]

        let broker = try await Broker(at: "\(folder)/broker")
        try await broker.createTopic("orders", partitions: 4)

        let ledger = try Ledger(at: "\(folder)/billing.ledger")
        let balances = StateTable<String, Int>("balances")

        let billing = Pipeline(
            "billing",
            from: broker.subscribe(to: "orders", as: "billing"),
            ledger: ledger,
            decoding: .json(Order.self),
            identifiedBy: .field { $0.id }
        ) { order, context in
            context.onCommit { transaction in
                try transaction.update(balances, order.customer, default: 0) { $0 += order.cents }
            }
        }

        let order = try OutgoingMessage(json: Order(id: "o-1", customer: "ada", cents: 1250), to: "orders", key: "ada")
        for _ in 1...3 { try await broker.send(order) }

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await billing.run() }
            group.addTask { await billing.settled(through: try broker.logEnds(of: "orders")) }
            try await group.next()
            group.cancelAll()
        }
        print(try ledger.reader.get(balances, "ada") ?? 0)

        await ledger.close()
        try await broker.close()
    }
}
