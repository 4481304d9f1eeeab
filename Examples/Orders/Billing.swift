import Logging
import Ratchet
import RatchetBroker

/// The main job: what the example is about.
enum Billing {
    static let orders = "orders"
    static let receipts = "receipts"
    static let group = "billing"
    static let partitions = 4
    /// The longest line that is published, in bytes.
    static let maximumLineSize = 1 << 20
    /// Customers and what they have spent, in cents.
    static let balances = StateTable<String, Int>("balances")

    /// Makes the topics, unless they are there.
    static func createTopics(in broker: Broker) async throws {
        for topic in [orders, receipts] {
            try await broker.createTopic(
                topic,
                partitions: partitions,
                retention: .unlimited,
                maximumMessageSize: maximumLineSize + 1024  // The key and what surrounds a message come on top.
            )
        }
    }

    /// Adds each purchase to its customer's balance and publishes its receipt, both exactly once: they are one
    /// transaction with the record of the purchase's id and with the offset.
    static func pipeline(
        from source: any Source,
        broker: Broker,
        ledger: Ledger,
        logger: Logger
    ) -> Pipeline<Purchase> {
        var configuration = PipelineConfiguration()
        configuration.logger = logger
        configuration.outboxBatch = 4_000
        // A state folder put together from two is an error, not something to wait for.
        configuration.resume.refusal = .endPipeline
        configuration.retries.decision = { error, _ in error is BalanceOverflow ? .deadLetter : .retry }
        return Pipeline(
            "billing",
            from: source,
            ledger: ledger,
            decoding: .json(Purchase.self),
            identifiedBy: .field { $0.id },
            publishingTo: broker,
            configuration: configuration,
            transactional: { purchase, transaction in
                var balance = 0
                try transaction.update(balances, purchase.customer, default: 0) { spent in
                    let (sum, overflow) = spent.addingReportingOverflow(purchase.cents)
                    if overflow { throw BalanceOverflow() }
                    spent = sum
                    balance = sum
                }
                let receipt = Receipt(
                    purchase: purchase.id,
                    customer: purchase.customer,
                    cents: purchase.cents,
                    balance: balance
                )
                try transaction.publish(receipt, to: receipts, key: purchase.customer, id: Receipt.id(of: purchase))
            }
        )
    }

    /// The ledger's settings: the same purchases may come again after years.
    static func ledgerConfiguration(_ logger: Logger) -> Ledger.Configuration {
        var configuration = Ledger.Configuration()
        configuration.window = DeduplicationWindow(time: .seconds(100 * 365 * 86_400), count: 100_000_000)
        configuration.longestDowntime = .seconds(365 * 86_400)
        configuration.logger = logger
        return configuration
    }

    /// The broker's settings.
    static func brokerConfiguration(_ logger: Logger) -> Broker.Configuration {
        var configuration = Broker.Configuration()
        configuration.logger = logger
        return configuration
    }
}

/// A balance would be beyond what an integer holds: the purchase becomes a dead letter.
struct BalanceOverflow: Error, CustomStringConvertible {
    var description: String { "the customer's balance would overflow" }
}
