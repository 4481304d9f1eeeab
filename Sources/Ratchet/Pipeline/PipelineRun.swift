import CoreMetrics
import LMDB
import Logging
import ServiceLifecycle
import Synchronization

/// One run of a pipeline: the shell around the scheduler. It performs what the scheduler decides, and holds its lock
/// for a transition, never across I/O.
final class PipelineRun<Payload: Sendable>: Sendable {
    struct State {
        var scheduler: Scheduler
        var idle: [CheckedContinuation<SettlementEntry?, Never>] = []
        var drains: [Int: Latch] = [:]
        /// Durable and not yet committed positions, by slot.
        var uncommitted: [Int: Int64] = [:]
        var isSubmitting = false
        var isEnding = false
        var nextWaiter = 1
        var failure: (any Error)?
    }

    let name: String
    let source: any Source
    let ledger: Ledger
    let sink: (any Sink)?
    let intake: Intake<Payload>
    let handler: Pipeline<Payload>.Handler
    let configuration: PipelineConfiguration
    let progress: Progress
    let metrics: PipelineMetrics
    let span: ProcessSpan
    let logger: Logger
    let state: Mutex<State>
    /// Where partitions are paused and resumed, whoever's turn it is.
    private let openSession = Mutex<(any SourceSession)?>(nil)
    /// One thread at a time pauses and resumes partitions.
    let pausing = Mutex<Void>(())
    /// One commit at a time: a position that is given back is committed before.
    let committing = Turn()
    /// The run is to end: shutdown, or a failure.
    let ending = Latch()
    /// The next retry may be due earlier than the timer believes.
    let rearmed = Signal()
    /// This run's number among those that claim keys of the ledger.
    let claimant = Atomic<Int>(0)

    init(
        name: String,
        source: any Source,
        ledger: Ledger,
        sink: (any Sink)?,
        intake: Intake<Payload>,
        handler: Pipeline<Payload>.Handler,
        configuration: PipelineConfiguration,
        progress: Progress
    ) {
        self.name = name
        self.source = source
        self.ledger = ledger
        self.sink = sink
        self.intake = intake
        self.handler = handler
        self.configuration = configuration
        self.progress = progress
        metrics = PipelineMetrics(
            pipeline: name,
            system: source.system,
            group: source.group,
            factory: configuration.metrics
        )
        span = ProcessSpan(system: source.system, group: source.group, tracer: configuration.tracer)
        var logger = configuration.logger
        logger[metadataKey: LogKeys.pipeline] = "\(name)"
        logger[metadataKey: LogKeys.group] = "\(source.group)"
        self.logger = logger
        let execution: Scheduler.Execution =
            switch handler {
            case .inTasks: .inTasks
            case .inWriter: .inWriter
            }
        state = Mutex(
            State(
                scheduler: Scheduler(
                    execution: execution,
                    ordering: configuration.ordering,
                    limits: configuration.limits()
                )
            )
        )
    }

    func run() async throws {
        do { try await ledger.bind(to: source.group) } catch { throw typed(error) }
        let session = try await source.open()
        openSession.withLock { $0 = session }
        let pipeline = ledger.claims.register { [weak self] messages in self?.stopWaiting(messages) }
        claimant.store(pipeline, ordering: .relaxed)
        await withGracefulShutdownHandler {
            await withTaskGroup { group in
                addTasks(to: &group, session)
                let isOpen = await pollUntilEnd(session)
                await end(session, isOpen: isOpen)
                group.cancelAll()
            }
        } onGracefulShutdown: {
            self.ending.open()
        }
        ledger.claims.unregister(pipeline)
        if let failure = state.withLock({ $0.failure }) { throw failure }
        try Task.checkCancellation()
    }

    private func addTasks(to group: inout TaskGroup<Void>, _ session: any SourceSession) {
        if case .inTasks(let handler) = handler {
            for _ in 0..<configuration.concurrency {
                group.addTask { await self.work(handler) }
            }
        }
        group.addTask { await self.keepRetryTime() }
        group.addTask { await self.commitNowAndThen(session) }
        if let sink {
            let relay = OutboxRelay(
                outbox: ledger.outbox,
                sink: sink,
                settings: .init(
                    batch: configuration.outboxBatch,
                    window: configuration.outboxBatch * 4,
                    retries: configuration.outboxRetries
                ),
                clock: configuration.clock,
                time: ledger.configuration.time,
                random: ledger.configuration.random,
                logger: logger
            ) { count in
                self.progress.count { $0.sent += count }
                self.metrics.sent.increment(by: count)
                if self.state.withLock({ $0.scheduler.isFull }) { self.reconsiderFull() }
            }
            group.addTask {
                do { try await relay.run() } catch is CancellationError {} catch { self.fail(error) }
            }
        }
    }

    var session: (any SourceSession)? { openSession.withLock { $0 } }

    /// Ends the run with an error, once what is running is settled.
    func fail(_ error: any Error) {
        let failure = typed(error)
        state.withLock { if $0.failure == nil { $0.failure = failure } }
        ending.open()
    }

    /// What the database says is the ledger's: sources, sinks and handlers have errors of their own.
    private func typed(_ error: any Error) -> any Error {
        guard let error = error as? LMDBError else { return error }
        return PipelineError(
            .ledger,
            "pipeline '\(name)' stops, nothing unsettled was committed: \(error)",
            underlying: error
        )
    }

    /// Polls until the session ends or the run is to end. The poll waits beside whatever drains: a slow handler never
    /// keeps the group from hearing of this member. Returns whether the session is still open.
    private func pollUntilEnd(_ session: any SourceSession) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do { try await self.poll(session) } catch is CancellationError {} catch { self.fail(error) }
                return false
            }
            group.addTask {
                await self.ending.wait()
                return true
            }
            let isOpen = await group.next() ?? false
            group.cancelAll()
            return isOpen
        }
    }

    private func poll(_ session: any SourceSession) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            defer { group.cancelAll() }
            while true {
                switch try await session.next() {
                case .assigned(let assignments):
                    for assignment in assignments { try await begin(assignment, session) }
                case .messages(let batch): take(batch)
                case .revoking(let partitions, let limit):
                    // Looked up here: by the time the task runs they may have been lost and assigned anew.
                    let leases = leases(of: partitions)
                    group.addTask { await self.giveBack(partitions, leases, within: limit, session) }
                case .lost(let partitions): lose(partitions)
                case .closed: return
                }
            }
        }
    }

    private func take(_ batch: MessageBatch) {
        let lease = state.withLock { $0.scheduler.lease(of: batch.partition) }
        guard let lease, lease.generation == batch.generation else { return }
        let decoded = intake.take(batch, under: lease)
        progress.count { $0.delivered += batch.count }
        metrics.consumed.increment(by: batch.count)
        change { $0.admit(decoded) }
    }

    /// Waits for what is running, settles and commits it, and leaves the group.
    private func end(_ session: any SourceSession, isOpen: Bool) async {
        let leases = state.withLock { $0.scheduler.leases }
        if Task.isCancelled {
            await fence(leases)
        } else {
            await withTaskGroup { group in
                if isOpen { group.addTask { await self.stayMember(session, leases) } }
                await drain(leases, within: configuration.drainTimeout, session)
                group.cancelAll()
            }
        }
        // Before the outbox, which may take its time: the partitions are free already.
        await session.close()
        if !Task.isCancelled { await flushOutbox() }
        let idle = state.withLock { state in
            state.isEnding = true
            defer { state.idle = [] }
            return state.idle
        }
        for continuation in idle { continuation.resume(returning: nil) }
    }

    /// Polls on while the last handlers run: a member that is silent for too long is evicted, and what it then settles
    /// could not be committed any more. Nothing more is taken in.
    private func stayMember(_ session: any SourceSession, _ leases: [PartitionLease]) async {
        pausing.withLock { _ in
            for lease in leases { session.setPaused(true, lease.partition) }
        }
        do {
            while true {
                switch try await session.next() {
                case .lost(let partitions): lose(partitions)
                case .closed: return
                // All that this member has goes back in a moment.
                case .assigned, .messages, .revoking: continue
                }
            }
        } catch is CancellationError {
            return
        } catch {
            fail(error)
        }
    }

    /// A shutdown sends what is in the outbox if it can; what it cannot send stays for the next run.
    private func flushOutbox() async {
        guard sink != nil else { return }
        await withTaskGroup { group in
            group.addTask { do { try await self.ledger.outbox.drained() } catch { self.fail(error) } }
            group.addTask { await self.pause(for: self.configuration.drainTimeout) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Waits for `duration` or until the task is cancelled.
    func pause(for duration: Duration) async {
        do { try await configuration.clock.sleep(for: duration) } catch { return }
    }
}
