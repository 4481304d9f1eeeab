import Logging
import Ratchet
import RatchetBroker
import ServiceLifecycle

@main
struct BillingService {
    struct Order: Codable, Sendable { var id: String, customer: String, cents: Int }

    static func main() async throws {
        let broker = try await Broker(at: "broker")
        try await broker.createTopic("orders", partitions: 4)
        try await broker.createTopic("receipts", partitions: 4)
        let ledger = try Ledger(at: "billing.ledger")
        let balances = StateTable<String, Int>("balances")

        let billing = Pipeline(
            "billing",
            from: broker.subscribe(to: "orders", as: "billing"),
            ledger: ledger,
            decoding: .json(Order.self),
            identifiedBy: .field { $0.id },
            publishingTo: broker
        ) { order, context in
            context.onCommit { transaction in
                try transaction.update(balances, order.customer, default: 0) { $0 += order.cents }
            }
            // Encoded here, sent only if this message commits.
            try context.publish(order, to: "receipts", key: order.customer)
        }

        let services = ServiceGroup(
            services: [broker, billing],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "billing")
        )
        try await services.run()
    }
}
