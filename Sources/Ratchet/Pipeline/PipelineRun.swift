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
        /// By slot: of what is not ours any more, nothing is noted.
        var owned: [Int: OwnedPartition] = [:]
        /// Opened when nothing of a slot is in flight.
        var idles: [Int: Latch] = [:]
        var isSubmitting = false
        var isEnding = false
        var nextWaiter = 1
        /// When the desk is cleared at the latest.
        var deskUntil: Scheduler.Deadline?
        /// When a full outbox was last reported.
        var fullOutboxReport: Int64?
        var failure: (any Error)?

        /// When something has to be done though nothing happens.
        var nextDue: Scheduler.Deadline? {
            guard let due = scheduler.nextDue else { return deskUntil }
            return min(due, deskUntil ?? due)
        }
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
    let desk = WorkerDesk()
    /// Where partitions are paused and resumed, whoever's turn it is.
    private let openSession = Mutex<(any SourceSession)?>(nil)
    /// What the session was told to pause. One thread at a time pauses and resumes partitions.
    let paused = Mutex<Set<TopicPartition>>([])
    /// One commit at a time: a position that is given back is committed before.
    let committing = Turn()
    /// The run is to end: shutdown, or a failure.
    let ending = Latch()
    /// Opened when this run sends nothing more from the outbox.
    private let relayEnd = Latch()
    /// Something can be acked: a queue gives no more than its prefetch before it is.
    let acking = Signal()
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
                    limits: configuration.limits(execution, inFlightLimit: source.inFlightLimit)
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
                await pollUntilDrained(session)
                await leave(session)
                group.cancelAll()
            }
        } onGracefulShutdown: {
            self.ending.open()
        }
        ledger.claims.unregister(pipeline)
        if let failure = state.withLock({ $0.failure }) { throw failure }
        // Under another's hands, after the last that this one has written.
        if let failure = ledger.failure { throw typed(failure) }
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
                    bytes: configuration.outboxBytes,
                    backlog: configuration.outboxBacklog,
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
                self.relayEnd.open()
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

    /// Polls until the run is to end, by a shutdown, a failure or the session's end, and all that runs is drained. The
    /// poll waits beside whatever drains: a slow handler never keeps the group from hearing of this member, nor the
    /// member from hearing of what it is to give back or has lost.
    private func pollUntilDrained(_ session: any SourceSession) async {
        await withTaskGroup { group in
            group.addTask { await self.poll(session) }
            await ending.wait()
            // It may have been cancelled instead.
            ending.open()
            let leases = state.withLock { $0.scheduler.leases }
            if Task.isCancelled {
                await fence(leases)
            } else {
                await drain(leases, within: configuration.drainTimeout, session)
            }
            group.cancelAll()
        }
    }

    private func poll(_ session: any SourceSession) async {
        await withDiscardingTaskGroup { group in
            do {
                while try await hear(session.next(), session, in: &group) {}
            } catch is CancellationError {
            } catch  where ending.isOpen {
                logger.warning("polling failed while the pipeline ended", metadata: [LogKeys.error: "\(error)"])
            } catch {
                fail(error)
            }
            // Before what is being given back has come to its end: that is not cut short.
            ending.open()
        }
    }

    /// Does what an event asks for; false when there will be no more.
    private func hear(
        _ event: SourceEvent,
        _ session: any SourceSession,
        in group: inout DiscardingTaskGroup
    ) async throws -> Bool {
        switch event {
        case .assigned(let assignments):
            // At the end nothing is begun: what is given to us goes back with all else.
            if ending.isOpen { break }
            try await begin(assignments, session)
        case .messages(let batch): if !ending.isOpen { take(batch) }
        case .outOfRange(let gap):
            // Looked up here: by the time the task runs it may have been lost and assigned anew.
            guard let lease = leases(of: [gap.partition]).first, lease.generation == gap.generation else { break }
            group.addTask { await self.pass(gap, lease, session) }
        case .revoking(let partitions, let limit):
            // Looked up here: by the time the task runs they may have been lost and assigned anew.
            let leases = leases(of: partitions)
            noteStopped(partitions, nil)
            group.addTask { await self.giveBack(partitions, leases, within: limit, session) }
        case .lost(let partitions): lose(partitions)
        case .closed: return false
        }
        return true
    }

    private func take(_ batch: MessageBatch) {
        let lease = state.withLock { $0.scheduler.lease(of: batch.partition) }
        guard let lease, lease.generation == batch.generation else { return }
        let decoded = intake.take(batch, under: lease)
        progress.count { $0.delivered += batch.count }
        metrics.consumed.increment(by: batch.count)
        #if BrokenVariants
            if BrokenVariant.claimWhileQueued.isOn {
                let waiter = ClaimTable.Waiter(pipeline: claimant.load(ordering: .relaxed), message: 0)
                for fingerprint in decoded.fingerprints { _ = ledger.claims.claim(fingerprint, for: waiter) }
            }
        #endif
        for start in stride(from: 0, to: batch.count, by: 128) {
            change { $0.admit(decoded, start..<min(start + 128, batch.count)) }
        }
    }

    private func leave(_ session: any SourceSession) async {
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

    /// A shutdown sends what is in the outbox if it can; what it cannot send stays for the next run.
    private func flushOutbox() async {
        guard let sink else { return }
        // The relay may be waiting to send again, in vain.
        if ledger.outbox.backlog > 0, let failure = sink.failure { return fail(failure) }
        await withTaskGroup { group in
            group.addTask { do { try await self.ledger.outbox.drained() } catch { self.fail(error) } }
            // Nobody empties it any more.
            group.addTask { await self.relayEnd.wait() }
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
