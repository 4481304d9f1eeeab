public import CoreMetrics
public import Logging
public import Tracing

/// A pipeline's settings. Everything has a default and a bound.
public struct PipelineConfiguration: Sendable {
    /// Which messages run one after the other. Default: those with the same key.
    public var ordering = Ordering.key
    /// How many async handlers run at once, 1 or more. Default: 16. Transactional handlers run one at a time.
    public var concurrency = 16
    /// How many messages of one partition may be in flight (delivered and not yet durable), 1 or more; a partition over
    /// it is paused. What one fetch brings comes on top. Of a queue it is its source's prefetch instead. Default: 4,096.
    public var partitionInFlight = 4_096
    /// How many messages may be in flight in all, 1 or more. Default: 16,384.
    public var inFlight = 16_384
    /// How many bytes may be in flight in all, 1 or more. Default: 64 MiB.
    public var inFlightBytes = 64 << 20
    /// How many messages one ledger transaction settles at the most, 1 to 16,384. Default: 4,000.
    public var batch = 4_000
    /// How many such batches may be on their way to the ledger, 1 or more. Default: 2.
    public var batchesInFlight = 2
    /// How long finished async messages may wait for more to share their transaction, 1 hour or less, while others are
    /// ready to run. Default: 2 ms.
    public var batchDelay: Duration = .milliseconds(2)
    /// How long messages of transactional handlers may wait for more to share their transaction, 1 hour or less, while the
    /// ledger has no others of this pipeline: until there is half of ``batch``, or a quarter of what may be in flight if that
    /// is less. They wait only while they come fast: right behind ``burst`` or more, and with no pause of half of this
    /// between them. Default: 10 ms.
    public var transactionDelay: Duration = .milliseconds(10)
    /// After how many messages, settled without a break, others are expected to come fast, 1 or more. Default: 256.
    public var burst = 256
    /// What becomes of failed messages. Default: 10 attempts, 1 s doubling to 30 s, then a dead letter.
    public var retries = RetryPolicy()
    /// How the outbox tries again to send; it never gives up, so only the delays count. Default: 100 ms doubling to 30
    /// s.
    public var outboxRetries = RetryPolicy(initialDelay: .milliseconds(100))
    /// How many messages the outbox sends at once, 1 or more. Default: 1,000.
    public var outboxBatch = 1_000
    /// How many bytes of messages the outbox sends at once, and so holds in memory, 1 or more; a larger message goes
    /// alone. Default: 64 MiB.
    public var outboxBytes = 64 << 20
    /// How many messages the outbox may hold unconfirmed before nothing more is taken in, 1 or more. What is in flight
    /// then comes on top. Messages that the sink refuses hold up only their own key until there are so many of them.
    /// Default: 100,000.
    public var outboxBacklog = 100_000
    /// What to do with a duplicate whose payload is another. Default: keep the first, count, warn.
    public var payloadConflict = PayloadConflict.keepFirst
    /// Where to begin, and what to do where positions disagree.
    public var resume = ResumePolicy()
    /// How often positions are committed to the broker; the ledger is ahead by so much. Default: 1 s.
    public var commitInterval: Duration = .seconds(1)
    /// How long a shutdown or a revocation waits for what is running, 0 or more; a revocation no longer than the group
    /// itself waits for it (``SourceEvent/revoking(_:within:)``). The member stays one meanwhile. Default: 30 s.
    public var drainTimeout: Duration = .seconds(30)
    /// A transactional handler that takes longer is named in a warning: it holds everybody up. Default: 10 ms.
    public var slowTransaction: Duration = .milliseconds(10)
    /// An async handler that takes longer is named in a warning. Default: 10 s.
    public var slowHandler: Duration = .seconds(10)
    /// Where the pipeline reports what it notices.
    public var logger = Logger(label: "ratchet.pipeline")
    /// Where the pipeline's instruments are made. Default: what the application has bootstrapped.
    public var metrics: any MetricsFactory = MetricsSystem.factory
    /// What makes a span of each message's processing. Default: what the application has bootstrapped.
    public var tracer: any Tracer = InstrumentationSystem.tracer
    /// Is told what became of each message that came back from the ledger, once that is durable. For simulations.
    package var settled: (@Sendable (SettlementEntry, SettlementOutcome) -> Void)?
    /// What delays and intervals are measured by.
    public var clock: any Clock<Duration> = ContinuousClock()

    /// The defaults.
    public init() {}

    func check() throws(PipelineError) {
        let positive = [
            ("concurrency", concurrency), ("partitionInFlight", partitionInFlight), ("inFlight", inFlight),
            ("inFlightBytes", inFlightBytes), ("batch", batch), ("batchesInFlight", batchesInFlight),
            ("burst", burst), ("outboxBatch", outboxBatch),
            ("outboxBytes", outboxBytes), ("outboxBacklog", outboxBacklog),
        ]
        for (name, value) in positive where value < 1 {
            throw PipelineError(.invalidConfiguration, "\(name) is \(value), it must be 1 or more")
        }
        guard batch <= 16_384 else {
            throw PipelineError(.invalidConfiguration, "batch is \(batch), it must be 16,384 or less")
        }
        guard commitInterval > .zero, drainTimeout >= .zero else {
            throw PipelineError(
                .invalidConfiguration,
                "commitInterval \(commitInterval) must be above zero and drainTimeout \(drainTimeout) not below"
            )
        }
        for (name, delay) in [("batchDelay", batchDelay), ("transactionDelay", transactionDelay)]
        where delay < .zero || delay > .seconds(3600) {
            throw PipelineError(.invalidConfiguration, "\(name) is \(delay), it must be 0 to 1 hour")
        }
    }

    func limits(_ execution: Scheduler.Execution, inFlightLimit: Int?) -> Scheduler.Limits {
        Scheduler.Limits(
            // Above the source's own, which is never reached: the pipeline would go on only when half of that is done.
            partitionMessages: inFlightLimit.map { min(max($0, 1), .max - 1) + 1 } ?? partitionInFlight,
            messages: inFlight,
            bytes: inFlightBytes,
            pieceMessages: batch,
            pieces: batchesInFlight,
            linger: execution == .inTasks ? batchDelay.nanoseconds : transactionDelay.nanoseconds,
            burst: burst
        )
    }
}
