import CoreMetrics
import Logging
import Metrics
import Synchronization

extension PipelineRun {
    /// One worker: takes a message, runs the handler, hands the result over, takes the next. It never waits for
    /// durability.
    func work(_ handler: @Sendable (Payload, HandlerContext) async throws -> Void) async {
        var entry = await next { _ in }
        while let current = entry {
            entry = await run(current, handler)
        }
    }

    /// Runs one message and takes the next one, in a single turn of the lock.
    private func run(
        _ entry: SettlementEntry,
        _ handler: @Sendable (Payload, HandlerContext) async throws -> Void
    ) async -> SettlementEntry? {
        var entry = entry
        do {
            if entry.batch.isKeyed, try ledger.isKnownDuplicate(entry) {
                entry.result = .duplicate
                return await next { $0.finished(entry) }
            }
        } catch {
            fail(PipelineError(.ledger, "pipeline '\(name)' cannot read its ledger: \(error)", underlying: error))
            return await next { $0.stopped(entry) }
        }
        let payload = Payloads<Payload>.payload(of: entry)
        let context = HandlerContext(entry, publishes: sink != nil, logger: logger)
        let time = ledger.configuration.time
        let start = time.monotonic()
        do {
            if span.isTraced {
                try await span.around(entry.message, attempt: Int(entry.attempt)) {
                    try await handler(payload, context)
                }
            } else {
                try await handler(payload, context)
            }
        } catch {
            noteDuration(of: entry, since: start, now: time.monotonic())
            return await failed(entry, error, now: time.monotonic())
        }
        noteDuration(of: entry, since: start, now: time.monotonic())
        entry.result = context.takeEffects().map { .effects($0) }
        return await next { $0.finished(entry) }
    }

    private func noteDuration(of entry: SettlementEntry, since start: Int64, now: Int64) {
        metrics.processDuration.recordNanoseconds(now - start)
        guard now - start > configuration.slowHandler.nanoseconds else { return }
        var metadata = metadata(of: entry)
        metadata[LogKeys.milliseconds] = "\((now - start) / 1_000_000)"
        logger.warning("a handler took long", metadata: metadata)
    }

    private func failed(_ entry: SettlementEntry, _ error: any Error, now: Int64) async -> SettlementEntry? {
        var entry = entry
        // A handler that is cancelled with its pipeline has not failed: the message will be delivered again.
        if Task.isCancelled { return nil }
        switch configuration.retries.decide(error, attempt: Int(entry.attempt)) {
        case .retry:
            log(.info, "failed, will be tried again", entry, error)
            progress.count { $0.retries += 1 }
            metrics.retried.increment()
            let due = retryTime(of: entry, now: now)
            return await next { $0.failed(entry, retryAt: due) }
        case .deadLetter:
            entry.result = .givenUp(.deadLetter(.handler, error))
            return await next { $0.finished(entry) }
        case .discard:
            entry.result = .givenUp(.discard(error))
            return await next { $0.finished(entry) }
        case .stop:
            stop(entry, error)
            return await next { $0.stopped(entry) }
        }
    }

    /// Enters a result and takes the next message; waits if there is none. Nil when the run has ended.
    private func next(_ enter: (inout Scheduler) -> Void) async -> SettlementEntry? {
        let following = change { state -> SettlementEntry?? in
            enter(&state.scheduler)
            if state.isEnding { return .some(nil) }
            return nextEntry(&state).map { .some($0) } ?? .none
        }
        if let following { return following }
        return await withCheckedContinuation { continuation in
            let entry: SettlementEntry?? = state.withLock { state in
                if state.isEnding { return .some(nil) }
                if let entry = nextEntry(&state) { return entry }
                state.idle.append(continuation)
                return nil
            }
            if let entry { continuation.resume(returning: entry) }
        }
    }

    /// The next message that may run: its key is claimed, or it is set aside until it can be.
    func nextEntry(_ state: inout State) -> SettlementEntry? {
        while var entry = state.scheduler.start() {
            guard entry.batch.isKeyed, !entry.holdsClaim else { return entry }
            let number = state.nextWaiter
            state.nextWaiter += 1
            let waiter = ClaimTable.Waiter(pipeline: claimant.load(ordering: .relaxed), message: number)
            if ledger.claims.claim(entry.fingerprint, for: waiter) {
                entry.holdsClaim = true
                return entry
            }
            state.scheduler.wait(entry, as: number)
        }
        return nil
    }

    /// Messages whose key another one held may look again.
    func stopWaiting(_ numbers: [Int]) {
        change { scheduler in
            for number in numbers { scheduler.stopWaiting(number) }
        }
    }

    /// Tries failed messages again when their time has come.
    func keepRetryTime() async {
        let time = ledger.configuration.time
        while !Task.isCancelled {
            if let due = state.withLock({ $0.scheduler.nextDue }) {
                let delay = Duration.nanoseconds(max(0, due - time.monotonic()))
                if delay > .zero { await rearmed.wait(atMost: delay, clock: configuration.clock) }
                change { $0.tick(time.monotonic()) }
            } else {
                await rearmed.wait()
            }
        }
    }
}
