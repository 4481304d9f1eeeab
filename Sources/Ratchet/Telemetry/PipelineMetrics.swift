import CoreMetrics
import Metrics

/// A pipeline's instruments, made once. Names are OpenTelemetry's messaging conventions where they have one,
/// `ratchet.*` otherwise.
struct PipelineMetrics: Sendable {
    /// Messages delivered to the pipeline.
    let consumed: Counter
    /// How long handlers took.
    let processDuration: Metrics.Timer
    /// Messages the outbox has sent.
    let sent: Counter
    let processed: Counter
    let duplicates: Counter
    let redelivered: Counter
    let deadLettered: Counter
    let discarded: Counter
    let retried: Counter
    let conflicts: Counter
    let evicted: Counter
    let fenced: Counter
    /// Offsets that were skipped, as retention had deleted them before they were processed.
    let lost: Counter
    /// Messages that another ledger has done and whose keys were remembered as their partition was taken over.
    let passed: Counter
    let inFlight: Gauge
    let stoppedPartitions: Gauge

    init(pipeline: String, system: String, group: String, factory: any MetricsFactory) {
        let dimensions = [
            ("messaging.system", system), ("messaging.consumer.group.name", group), ("ratchet.pipeline", pipeline),
        ]
        let operation = dimensions + [("messaging.operation.name", "process")]
        consumed = Counter(label: "messaging.client.consumed.messages", dimensions: operation, factory: factory)
        processDuration = Timer(
            label: "messaging.process.duration",
            dimensions: operation,
            preferredDisplayUnit: .seconds,
            factory: factory
        )
        sent = Counter(
            label: "messaging.client.sent.messages",
            dimensions: dimensions + [("messaging.operation.name", "publish")],
            factory: factory
        )
        func outcome(_ name: String) -> Counter {
            Counter(
                label: "ratchet.pipeline.messages",
                dimensions: dimensions + [("ratchet.outcome", name)],
                factory: factory
            )
        }
        processed = outcome("processed")
        duplicates = outcome("duplicate")
        redelivered = outcome("redelivered")
        deadLettered = outcome("dead_lettered")
        discarded = outcome("discarded")
        retried = outcome("retried")
        fenced = outcome("fenced")
        lost = outcome("lost")
        passed = outcome("passed")
        conflicts = Counter(label: "ratchet.deduplication.conflicts", dimensions: dimensions, factory: factory)
        evicted = Counter(label: "ratchet.deduplication.evicted", dimensions: dimensions, factory: factory)
        inFlight = Gauge(label: "ratchet.pipeline.in_flight", dimensions: dimensions, factory: factory)
        stoppedPartitions = Gauge(
            label: "ratchet.pipeline.stopped_partitions",
            dimensions: dimensions,
            factory: factory
        )
    }
}
