import CoreMetrics
import Logging
import Metrics
import Synchronization

#if BrokenVariants
    import LMDB
#endif

extension PipelineRun {
    /// Changes the scheduler's state, nothing being handed out ahead, and performs what follows from it.
    func change(_ body: (inout Scheduler) -> Void) {
        change { (state: inout State) in
            clearDesk(&state)
            body(&state.scheduler)
        }
    }

    /// Changes the state and performs what follows from it; `finish` has the last word on it.
    func change<R>(finish: (inout State) -> Void = { _ in }, _ body: (inout State) -> R) -> R {
        let now = ledger.configuration.time.monotonic()
        let (result, actions, claims, woken, hasPiece, isEarlier) = state.withLock { state in
            state.scheduler.observe(now)
            let due = state.nextDue ?? .max
            let result = body(&state)
            let woken = wake(&state)
            finish(&state)
            let (actions, claims) = (state.scheduler.takeActions(), state.scheduler.takeReleasedClaims())
            let hasPiece = !state.isSubmitting && state.scheduler.hasPiece
            return (result, actions, claims, woken, hasPiece, (state.nextDue ?? .max) < due)
        }
        // Whoever arms a lane, a worker or the writer, the timer hears of it.
        if isEarlier { rearmed.tell() }
        for (continuation, entry) in woken { continuation.resume(returning: entry) }
        ledger.claims.release(claims)
        perform(actions)
        if hasPiece { submit() }
        return result
    }

    /// Gives what is ready to workers that wait.
    private func wake(_ state: inout State) -> [(CheckedContinuation<SettlementEntry?, Never>, SettlementEntry)] {
        var woken: [(CheckedContinuation<SettlementEntry?, Never>, SettlementEntry)] = []
        while !state.idle.isEmpty, let entry = nextEntry(&state) { woken.append((state.idle.removeLast(), entry)) }
        return woken
    }

    private func perform(_ actions: [Scheduler.Action]) {
        for action in actions {
            switch action {
            case .pause(let partition), .resume(let partition): tellWhetherPaused(partition)
            case .drained(let slot): state.withLock { $0.owned[slot] }?.drain.open()
            case .idle(let slot): state.withLock { $0.idles.removeValue(forKey: slot) }?.open()
            }
        }
    }

    /// Two threads may come here in the other order than they decided: whoever is last says how it is now.
    private func tellWhetherPaused(_ partition: TopicPartition) {
        paused.withLock { paused in
            guard let isPaused = state.withLock({ $0.scheduler.isPaused(partition) }) else { return }
            if isPaused { paused.insert(partition) } else { paused.remove(partition) }
            session?.setPaused(isPaused, partition)
        }
    }

    /// A partition begins anew: an earlier assignment of it may have left it paused.
    func forgetPause(of partition: TopicPartition) {
        if paused.withLock({ $0.contains(partition) }) { tellWhetherPaused(partition) }
    }

    /// Hands pieces to the ledger, in the order in which they were taken: one thread at a time does so, and looks again
    /// before it ends.
    func submit() {
        while true {
            let piece = state.withLock { state -> (number: Int, entries: [SettlementEntry])? in
                guard !state.isSubmitting, let piece = state.scheduler.takePiece() else { return nil }
                state.isSubmitting = true
                #if BrokenVariants
                    if BrokenVariant.commitBeforeSync.isOn {
                        for entry in piece.entries {
                            state.owned[entry.batch.lease.slot]?.uncommitted = entry.offset + 1
                        }
                    }
                #endif
                return piece
            }
            guard let piece else { return }
            ledger.settle(piece.entries, with: SettlementWork(self), publishes: sink != nil) {
                [weak self] entries, result in
                self?.settled(piece.number, entries, result)
            }
            state.withLock { $0.isSubmitting = false }
        }
    }

    /// A piece came back. On the writer thread.
    private func settled(
        _ piece: Int,
        _ entries: [SettlementEntry],
        _ result: Result<SettlementReport, any Error>
    ) {
        switch result {
        case .failure(let error):
            // The pieces that follow fail as well: there is nothing to wait for.
            change { $0.failed(piece: piece, entries: entries) }
            fail(
                PipelineError(
                    .ledger,
                    "pipeline '\(name)' stops, nothing unsettled was committed: \(error)",
                    underlying: error
                )
            )
        case .success(let report):
            note(report, entries)
            let returned = ReturnedMessages(entries, report.outcomes)
            let now = ledger.configuration.time.monotonic()
            if report.published > 0 { ledger.outbox.committed(report.published) }
            let isToBeReported = change { (state: inout State) in
                for (lease, watermark) in report.watermarks { state.owned[lease.slot]?.uncommitted = watermark }
                if source.model == .queue { noteUnacked(entries, report.outcomes, &state) }
                let isToBeReported = limitIntake(&state, isWindowFull: report.isWindowFull)
                state.scheduler.returned(piece: piece, returned) { self.retryTime(of: $0, now: now) }
                return isToBeReported
            }
            if isToBeReported { reportFullOutbox() }
            if source.model == .queue { return acking.tell() }
            progress.reached(report.watermarks.map { ($0.lease.partition, $0.watermark) })
        }
    }

    /// When a message whose attempt failed is tried again.
    func retryTime(of entry: SettlementEntry, now: Int64) -> Scheduler.Deadline {
        let random = Double(ledger.configuration.random() >> 11) / Double(1 << 53)
        return now + configuration.retries.delay(afterAttempt: Int(entry.attempt), random: random).nanoseconds
    }

    private func note(_ report: SettlementReport, _ entries: [SettlementEntry]) {
        var counts = PipelineStatistics()
        for (entry, outcome) in zip(entries, report.outcomes) {
            configuration.settled?(entry, outcome)
            switch outcome {
            case .processed: counts.processed += 1
            case .duplicate: counts.duplicates += 1
            case .redelivered: counts.redelivered += 1
            case .deadLettered:
                counts.deadLettered += 1
                log(.warning, "dead letter", entry, nil)
            case .discarded:
                counts.discarded += 1
                log(.warning, "discarded", entry, nil)
            case .deferred: break
            case .failed(let error):
                counts.retries += 1
                log(.info, "failed, will be tried again", entry, error)
            case .stopped(let error): stop(entry, error)
            case .fenced: counts.fenced += 1
            }
        }
        counts.published = report.published
        for number in report.conflicts { log(.warning, "a duplicate with another payload", entries[number], nil) }
        for (number, nanoseconds) in report.slow {
            var metadata = metadata(of: entries[number])
            metadata[LogKeys.milliseconds] = "\(nanoseconds / 1_000_000)"
            logger.warning("a transactional handler held the writer for long", metadata: metadata)
        }
        logger.warn(evicted: report.evicted)
        count(counts, evicted: report.evicted, conflicts: report.conflicts.count)
    }

    private func count(_ counts: PipelineStatistics, evicted: Int, conflicts: Int) {
        progress.count { all in
            all.processed += counts.processed
            all.duplicates += counts.duplicates
            all.redelivered += counts.redelivered
            all.deadLettered += counts.deadLettered
            all.discarded += counts.discarded
            all.retries += counts.retries
            all.published += counts.published
            all.fenced += counts.fenced
        }
        metrics.processed.increment(by: counts.processed)
        metrics.duplicates.increment(by: counts.duplicates)
        metrics.redelivered.increment(by: counts.redelivered)
        metrics.deadLettered.increment(by: counts.deadLettered)
        metrics.discarded.increment(by: counts.discarded)
        metrics.retried.increment(by: counts.retries)
        metrics.fenced.increment(by: counts.fenced)
        metrics.evicted.increment(by: evicted)
        metrics.conflicts.increment(by: conflicts)
    }

    /// A handler's error says that the pipeline is to stop.
    func stop(_ entry: SettlementEntry, _ error: any Error) {
        let place = "\(entry.batch.lease.partition) at offset \(entry.offset)"
        fail(
            PipelineError(
                .stopped,
                "pipeline '\(name)', \(place), attempt \(entry.attempt): \(error)",
                underlying: error
            )
        )
    }

    func log(_ level: Logger.Level, _ text: Logger.Message, _ entry: SettlementEntry, _ error: (any Error)?) {
        guard logger.logLevel <= level else { return }
        var metadata = metadata(of: entry)
        if let error { metadata[LogKeys.error] = "\(error)" }
        logger.log(level: level, text, metadata: metadata)
    }

    func metadata(of entry: SettlementEntry) -> Logger.Metadata {
        [
            LogKeys.topic: "\(entry.batch.lease.partition.topic)",
            LogKeys.partition: "\(entry.batch.lease.partition.partition)",
            LogKeys.offset: "\(entry.offset)", LogKeys.attempt: "\(entry.attempt)",
        ]
    }
}

/// What a settlement needs of its pipeline.
struct SettlementWork<Payload: Sendable>: SettlementHandler, Sendable {
    private let handler: Pipeline<Payload>.Handler
    private let retries: RetryPolicy
    private let ordering: Ordering
    private let span: ProcessSpan
    let conflicts: PayloadConflict
    let slowAfter: Int64

    init(_ run: PipelineRun<Payload>) {
        handler = run.handler
        retries = run.configuration.retries
        ordering = run.configuration.ordering
        span = run.span
        conflicts = run.configuration.payloadConflict
        slowAfter = run.configuration.slowTransaction.nanoseconds
    }

    func run(_ entry: SettlementEntry, in transaction: borrowing LedgerTransaction) throws {
        switch handler {
        case .inWriter(let body):
            let payload = Payloads<Payload>.payload(of: entry)
            if span.isTraced {
                try span.around(entry.message, attempt: Int(entry.attempt)) { try body(payload, transaction) }
            } else {
                try body(payload, transaction)
            }
        case .inTasks:
            guard case .effects(let effects)? = entry.result else { return }
            try effects.write(in: transaction)
        }
    }

    func decide(_ error: any Error, for entry: SettlementEntry) -> RetryPolicy.Decision {
        retries.decide(error, attempt: Int(entry.attempt))
    }

    func lane(of entry: SettlementEntry) -> UInt64 {
        ordering.lane(of: entry)
    }
}
