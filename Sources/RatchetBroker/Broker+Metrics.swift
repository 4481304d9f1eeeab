import CoreMetrics

/// A broker's instruments, made once.
struct BrokerMetrics: Sendable {
    /// Parts of transactions and dead letters that are decided, and that their partitions do not have yet.
    let decided: Gauge

    init(_ factory: any MetricsFactory) {
        decided = Gauge(
            label: "ratchet.broker.decided",
            dimensions: [("messaging.system", "ratchet")],
            factory: factory
        )
    }
}
