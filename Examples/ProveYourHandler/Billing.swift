import Ratchet
import RatchetTesting

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The handlers of the article "Prove your handler": an order is to charge its customer's card once.
enum Billing {
    struct Order: Codable, Sendable {
        var id: String
        var customer: String
        var cents: Int
    }

    static let charged = StateTable<String, Int>("charged")

    static func orders() throws -> [SimulatedMessage] {
        try (1...50).map { number in
            let order = Order(id: "o-\(number)", customer: "c-\(number % 5)", cents: 100 * number)
            return try SimulatedMessage(id: order.id, key: order.customer, json: order)
        }
    }

    /// Charges the card while it runs. If the process dies after that, the order comes again, and so does the charge.
    static func naive() throws -> SimulatedHandler {
        SimulatedHandler(
            messages: try orders(),
            decoding: .json(Order.self),
            identifiedBy: .field { $0.id }
        ) { order, context, world in
            try await world.call("charge")
        }
    }

    /// Leaves the charge to the transaction that settles the order: it is noted there, and goes out through the outbox,
    /// always under the same id.
    static func repaired() throws -> SimulatedHandler {
        var billing = SimulatedHandler(
            messages: try orders(),
            decoding: .json(Order.self),
            identifiedBy: .field { $0.id }
        ) { order, context, world in
            context.onCommit { transaction in
                try transaction.update(charged, order.customer, default: 0) { $0 += order.cents }
                try world.effect("charge", in: transaction)
            }
            try context.publish(order, to: "charges", key: order.customer)
        }
        billing.outputs = ["charges"]
        billing.verify = { end in
            var sums: [String: Int] = [:]
            for charge in end.published(to: "charges") {
                let order = try JSONDecoder().decode(Order.self, from: Data(charge.payload))
                sums[order.customer, default: 0] += order.cents
            }
            var problems: [String] = []
            try end.ledger.forEach(in: charged) { customer, cents in
                let sum = sums.removeValue(forKey: customer) ?? 0
                if sum != cents { problems.append("\(customer): \(cents) cents in the ledger, \(sum) in the charges") }
            }
            return problems + sums.keys.sorted().map { "\($0) has charges, and nothing in the ledger" }
        }
        return billing
    }
}
