public import ServiceLifecycle
import Synchronization

/// Takes messages from a source, runs a handler for each event once, and commits offsets only after the handler's
/// effects are durable.
///
/// A `Service`: run it in a `ServiceGroup`. A graceful shutdown stops the intake, waits for what is running
/// (``PipelineConfiguration/drainTimeout``), settles and commits it, and leaves the group. After a crash at any moment
/// the next run skips what was settled and runs what was not.
public final class Pipeline<Payload: Sendable>: Service {
    /// The pipeline's name, in logs and metrics.
    public let name: String
    /// The ledger it writes.
    public let ledger: Ledger
    private let source: any Source
    private let sink: (any Sink)?
    private let intake: Intake<Payload>
    private let handler: Handler
    private let configuration: PipelineConfiguration
    private let progress: Progress
    private let isRunning = Atomic<Bool>(false)

    package enum Handler: Sendable {
        case inTasks(@Sendable (Payload, HandlerContext) async throws -> Void)
        case inWriter(@Sendable (Payload, borrowing LedgerTransaction) throws -> Void)
    }

    /// A pipeline whose handler is async. What it does outside happens at least once; what it leaves with
    /// ``HandlerContext/onCommit(_:)`` and ``HandlerContext/publish(_:)`` exactly once.
    ///
    /// - Parameters:
    ///   - name: For logs and metrics.
    ///   - source: A consumer group's subscription.
    ///   - ledger: The group's ledger.
    ///   - decoding: How payloads become what the handler gets.
    ///   - identifiedBy: Where the idempotency key comes from.
    ///   - publishingTo: Where published messages go, nil if the handler publishes none. One pipeline of a ledger sends
    ///     for all.
    ///   - configuration: The settings.
    ///   - handler: Runs once for each event, many at a time, in the order that ``PipelineConfiguration/ordering`` asks
    ///     for. A throw is dealt with as ``PipelineConfiguration/retries`` says; the offset never moves past a message
    ///     that is neither done nor a dead letter.
    public convenience init(
        _ name: String,
        from source: any Source,
        ledger: Ledger,
        decoding decoder: Decoder<Payload>,
        identifiedBy keys: KeySource<Payload>,
        publishingTo sink: (any Sink)? = nil,
        configuration: PipelineConfiguration = PipelineConfiguration(),
        handler: @escaping @Sendable (Payload, HandlerContext) async throws -> Void
    ) {
        self.init(
            name,
            source: source,
            ledger: ledger,
            decoder: decoder,
            keys: keys,
            sink: sink,
            configuration: configuration,
            handler: .inTasks(handler)
        )
    }

    /// A pipeline whose handler runs inside the ledger's transaction: its effects on the ledger happen exactly once, at
    /// a million a second.
    ///
    /// - Parameters:
    ///   - name: For logs and metrics.
    ///   - source: A consumer group's subscription.
    ///   - ledger: The group's ledger.
    ///   - decoding: How payloads become what the handler gets.
    ///   - identifiedBy: Where the idempotency key comes from.
    ///   - publishingTo: Where published messages go, nil if the handler publishes none. One pipeline of a ledger sends
    ///     for all.
    ///   - configuration: The settings.
    ///   - transactional: Runs on the ledger's writer thread, one at a time: it must not block, and should take
    ///     microseconds. When it throws, what it wrote is undone, and the message is dealt with as
    ///     ``PipelineConfiguration/retries`` says.
    public convenience init(
        _ name: String,
        from source: any Source,
        ledger: Ledger,
        decoding decoder: Decoder<Payload>,
        identifiedBy keys: KeySource<Payload>,
        publishingTo sink: (any Sink)? = nil,
        configuration: PipelineConfiguration = PipelineConfiguration(),
        transactional handler: @escaping @Sendable (Payload, borrowing LedgerTransaction) throws -> Void
    ) {
        self.init(
            name,
            source: source,
            ledger: ledger,
            decoder: decoder,
            keys: keys,
            sink: sink,
            configuration: configuration,
            handler: .inWriter(handler)
        )
    }

    package init(
        _ name: String,
        source: any Source,
        ledger: Ledger,
        decoder: Decoder<Payload>,
        keys: KeySource<Payload>,
        sink: (any Sink)?,
        configuration: PipelineConfiguration,
        handler: Handler
    ) {
        self.name = name
        self.source = source
        self.ledger = ledger
        self.sink = sink
        self.configuration = configuration
        self.handler = handler
        let ordering: Ordering? =
            switch handler {
            case .inTasks: configuration.ordering
            case .inWriter: nil
            }
        intake = Intake(decoder: decoder, keys: keys, fingerprint: ledger.journal.fingerprint, ordering: ordering)
        progress = Progress()
    }

    /// Runs until a graceful shutdown, cancellation or an error: ``PipelineError``, ``ResumeError``, ``LedgerError``,
    /// what the source throws, or the sink's ``Sink/failure``. What was settled stays settled. May be run again after it
    /// has ended.
    public func run() async throws {
        try configuration.check()
        guard source.model == .log || intake.keys.append != nil else {
            throw PipelineError(
                .keysRequired,
                "pipeline '\(name)' reads a queue, where a message that comes again has another tag: name its idempotency key"
            )
        }
        guard !isRunning.exchange(true, ordering: .acquiringAndReleasing) else {
            throw PipelineError(
                .running,
                "pipeline '\(name)' runs already; make another one for another member of the group"
            )
        }
        defer { isRunning.store(false, ordering: .releasing) }
        let run = PipelineRun(
            name: name,
            source: source,
            ledger: ledger,
            sink: sink,
            intake: intake,
            handler: handler,
            configuration: configuration,
            progress: progress
        )
        try await run.run()
    }

    /// The pipeline's part of an audit: how it consumes, and its ledger. It always settles after processing; how many
    /// ledgers share a queue's messages it cannot know.
    public var audited: AuditedChain {
        let isLog = source.model == .log
        return AuditedChain(
            consumer: .init(
                settlesAfterProcessing: .known(true),
                hasKeys: .known(intake.keys.append != nil),
                hasPositions: .known(isLog),
                ledgersPerKey: isLog
                    ? .known(1)
                    : .unreadable("who else consumes the queue into another ledger is not known here"),
                start: isLog ? .known(configuration.resume.first == .latest ? .latest : .earliest) : nil
            ),
            ledger: .init(
                isDurable: .known(ledger.configuration.isDurable),
                window: .known(ledger.configuration.window)
            )
        )
    }

    /// What has become of messages since the pipeline was made.
    public var statistics: PipelineStatistics { progress.statistics }

    /// Partitions that are assigned and stand still, because the positions of ledger, broker and log do not agree, and
    /// why; see ``ResumePolicy``.
    public var stoppedPartitions: [TopicPartition: ResumeError] { progress.stoppedPartitions }

    /// Returns once everything before these offsets is settled and durable, whether by this run or by a later one; or
    /// when the task is cancelled. A partition that stands still, or is another member's, is waited for.
    ///
    /// For logs: a queue's offsets are the delivery tags of a channel, and what waits in the queue has none yet.
    public func settled(through offsets: [TopicPartition: Int64]) async {
        await progress.settled(through: offsets)
    }
}

/// What became of messages, in numbers that only grow.
public struct PipelineStatistics: Hashable, Sendable {
    /// Messages delivered by the source.
    public var delivered = 0
    /// Messages whose handler succeeded.
    public var processed = 0
    /// Deliveries of an event that was done before, under another offset.
    public var duplicates = 0
    /// Deliveries of a record that was done before, at the same offset.
    public var redelivered = 0
    /// Messages that became dead letters.
    public var deadLettered = 0
    /// Messages that were let go of.
    public var discarded = 0
    /// Attempts that failed and were tried again.
    public var retries = 0
    /// Messages that were handed to the outbox.
    public var published = 0
    /// Messages the outbox has sent.
    public var sent = 0
    /// Offsets that retention had deleted before they were processed, and that were skipped as
    /// ``ResumePolicy/outOfRange`` says.
    public var lost = 0
    /// Messages that another ledger has done and that were read again, for their keys, as their partition was taken over.
    public var passed = 0
    /// Results that came too late: their partition was another member's already.
    public var fenced = 0
}
