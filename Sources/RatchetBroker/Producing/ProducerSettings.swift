public import Ratchet

/// How a ``Producer`` sends. Everything has a default, and the defaults lose nothing.
public struct ProducerSettings: Sendable {
    /// What a message waits for before it counts as confirmed. With ``Acks/none`` nothing is sent again, no failure is
    /// seen and no repeat is dropped. Default: all.
    public var acks = Acks.all
    /// Whether messages carry sequence numbers, by which the broker drops repeats: a message that was sent again because
    /// its answer was lost is in the log once. Without them one batch per partition is on its way at a time. Default:
    /// true.
    public var isIdempotent = true
    /// How often a message is sent again when the broker could not take it or did not answer, within the delivery
    /// timeout. Default: without end.
    public var retries = Int.max
    /// No attempt begins later than this after a message was handed over; then it fails. Default: 2 min.
    public var deliveryTimeout = Duration.seconds(120)
    /// The delay before the second attempt; each further one is twice as long. Default: 100 ms.
    public var retryDelay = Duration.milliseconds(100)
    /// The longest delay between two attempts. Default: 1 s.
    public var maximumRetryDelay = Duration.seconds(1)
    /// The most messages that are handed over and not yet confirmed; then ``Producer/enqueue(_:)`` waits. Default:
    /// 10,000.
    public var maximumInFlight = 10_000
    /// The most bytes of them, beside ``Broker/Configuration/maximumPendingBytes``; a larger batch goes alone. Default:
    /// 32 MiB.
    public var maximumInFlightBytes = 32 << 20
    /// The name under which this producer comes back: the next one of the same name fences this one. Transactions need
    /// it. Nil for a producer of its own. Default: nil.
    public var transactionalID: String?
    /// The most messages of a transaction. Default: 100,000.
    public var maximumTransactionMessages = 100_000
    /// The most bytes of a transaction's messages: they are held in memory until it is committed, with several nodes
    /// until all in-sync replicas have them. Default: 16 MiB.
    public var maximumTransactionBytes = 16 << 20
    /// A transaction that is not committed this long after it began is aborted. Default: 1 min.
    public var transactionTimeout = Duration.seconds(60)

    /// The defaults.
    public init() {}

    /// The defaults for a producer of this name.
    public init(transactionalID: String) { self.transactionalID = transactionalID }

    func check() throws(BrokerError) {
        if let transactionalID { try Name.check(transactionalID, "transactional") }
        for (name, value, least) in [
            ("retries", retries, 0), ("maximumInFlight", maximumInFlight, 1),
            ("maximumInFlightBytes", maximumInFlightBytes, 1),
            ("maximumTransactionMessages", maximumTransactionMessages, 1),
            ("maximumTransactionBytes", maximumTransactionBytes, 1),
        ] where value < least {
            throw BrokerError(.invalidArgument, "\(name) of \(value): \(least) or more")
        }
        for (name, value) in [
            ("deliveryTimeout", deliveryTimeout), ("retryDelay", retryDelay),
            ("maximumRetryDelay", maximumRetryDelay), ("transactionTimeout", transactionTimeout),
        ] where value <= .zero {
            throw BrokerError(.invalidArgument, "\(name) of \(value): more than zero")
        }
    }

    /// The producer's part of an audit.
    public var audited: AuditedChain.Producer {
        AuditedChain.Producer(
            acks: .known(acks),
            isIdempotent: .known(hasSequences),
            deliveryTimeout: .known(retries == 0 || acks == .none ? .zero : deliveryTimeout)
        )
    }

    var limits: DeliverySchedule.Limits {
        DeliverySchedule.Limits(
            retries: acks == .none ? 0 : retries,
            delays: RetryPolicy(initialDelay: retryDelay, maximumDelay: maximumRetryDelay, jitter: 0),
            batches: hasSequences ? ProducerSequences.Entry.maximumBatches : 1,
            messages: ChunkLayout.maximumCount,
            bytes: ChunkLayout.maximumBytes
        )
    }

    var hasSequences: Bool { isIdempotent && acks != .none }
}
