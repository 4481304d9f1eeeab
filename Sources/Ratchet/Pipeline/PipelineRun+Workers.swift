import CoreMetrics
import DequeModule
import Logging
import Metrics
import Synchronization

#if BrokenVariants
    import LMDB
#endif

extension PipelineRun {
    /// What a worker comes with when it asks for a message.
    private enum Turn {
        case arrived
        case finished(SettlementEntry)
        case failed(SettlementEntry, retryAt: Scheduler.Deadline)
        case stopped(SettlementEntry)
    }

    /// One worker: takes a message, runs the handler, hands the result over, takes the next. It never waits for
    /// durability.
    func work(_ handler: @Sendable (Payload, HandlerContext) async throws -> Void) async {
        var entry = await next(.arrived)
        while let current = entry.take() {
            entry = await run(current, handler)
        }
    }

    /// Runs one message and takes the next one, in a single turn.
    private func run(
        _ entry: consuming SettlementEntry,
        _ handler: @Sendable (Payload, HandlerContext) async throws -> Void
    ) async -> SettlementEntry? {
        do {
            if entry.batch.isKeyed, try ledger.isKnownDuplicate(entry) {
                entry.result = .duplicate
                return await next(.finished(entry))
            }
        } catch {
            fail(PipelineError(.ledger, "pipeline '\(name)' cannot read its ledger: \(error)", underlying: error))
            return await next(.stopped(entry))
        }
        let time = ledger.configuration.time
        let start = time.monotonic()
        let effects = MessageEffects()
        do {
            try await handle(entry, effects, handler)
        } catch {
            let end = time.monotonic()
            noteDuration(end - start, of: entry)
            return await failed(entry, error, now: end)
        }
        let duration = time.monotonic() - start
        noteDuration(duration, of: entry)
        if !effects.isEmpty { entry.result = .effects(effects) }
        let isFast = duration < configuration.batchDelay.nanoseconds
        if isFast, let following = desk.exchange(entry) { return following }
        return await next(.finished(entry), handsOut: isFast)
    }

    private func handle(
        _ entry: SettlementEntry,
        _ effects: MessageEffects,
        _ handler: @Sendable (Payload, HandlerContext) async throws -> Void
    ) async throws {
        let payload = Payloads<Payload>.payload(of: entry)
        let context = HandlerContext(entry, effects: effects, publishes: sink != nil, logger: logger)
        guard span.isTraced else { return try await handler(payload, context) }
        try await span.around(entry.message, attempt: Int(entry.attempt)) { try await handler(payload, context) }
    }

    private func noteDuration(_ nanoseconds: Int64, of entry: SettlementEntry) {
        metrics.processDuration.recordNanoseconds(nanoseconds)
        guard nanoseconds > configuration.slowHandler.nanoseconds else { return }
        var metadata = metadata(of: entry)
        metadata[LogKeys.milliseconds] = "\(nanoseconds / 1_000_000)"
        logger.warning("a handler took long", metadata: metadata)
    }

    private func failed(_ entry: consuming SettlementEntry, _ error: any Error, now: Int64) async -> SettlementEntry? {
        // A handler that is cancelled with its pipeline has not failed: the message will be delivered again.
        if Task.isCancelled { return nil }
        switch configuration.retries.decide(error, attempt: Int(entry.attempt)) {
        case .retry:
            log(.info, "failed, will be tried again", entry, error)
            progress.count { $0.retries += 1 }
            metrics.retried.increment()
            let due = retryTime(of: entry, now: now)
            return await next(.failed(entry, retryAt: due))
        case .deadLetter:
            entry.result = .givenUp(.deadLetter(.handler, error))
            return await next(.finished(entry))
        case .discard:
            entry.result = .givenUp(.discard(error))
            return await next(.finished(entry))
        case .stop:
            stop(entry, error)
            return await next(.stopped(entry))
        }
    }

    /// Enters a result and takes the next message, and hands more out ahead if asked to; waits if there is none. Nil
    /// when the run has ended.
    private func next(_ turn: consuming Turn, handsOut: Bool = false) async -> SettlementEntry? {
        let following = take(turn, handsOut: handsOut)
        if let following { return following }
        return await withCheckedContinuation { continuation in
            let entry: SettlementEntry?? = state.withLock { state in
                if state.isEnding { return .some(nil) }
                if let entry = desk.take() ?? nextEntry(&state) { return .some(.some(entry)) }
                state.idle.append(continuation)
                return nil
            }
            if let entry { continuation.resume(returning: entry) }
        }
    }

    private func take(_ turn: consuming Turn, handsOut: Bool) -> SettlementEntry?? {
        let handOut = { (state: inout State) in
            if handsOut { self.handOut(&state) }
            state.scheduler.handedOut = self.desk.count
        }
        return change(finish: handOut) { state -> SettlementEntry?? in
            for entry in desk.takeFinished() { state.scheduler.finished(entry) }
            switch turn {
            case .arrived: break
            case .finished(let entry): state.scheduler.finished(entry)
            case .failed(let entry, let due): state.scheduler.failed(entry, retryAt: due)
            case .stopped(let entry): state.scheduler.stopped(entry)
            }
            if state.isEnding { return .some(nil) }
            return (desk.take() ?? nextEntry(&state)).map { .some($0) } ?? .none
        }
    }

    // MARK: The desk

    /// Hands out one message ahead for each worker, and one that keeps the desk from running empty. All workers are busy
    /// then: an idle one would have taken it.
    private func handOut(_ state: inout State) {
        guard state.idle.isEmpty, !state.isEnding else { return }
        desk.lay {
            var ahead = Deque<SettlementEntry>()
            while ahead.count <= configuration.concurrency, let entry = nextEntry(&state) { ahead.append(entry) }
            if !ahead.isEmpty, state.deskUntil == nil {
                state.deskUntil = state.scheduler.now + state.scheduler.limits.linger
            }
            return ahead
        }
    }

    /// Enters the results on the desk, and takes back what was handed out ahead.
    func clearDesk(_ state: inout State) {
        let (finished, unstarted) = desk.clear()
        for entry in finished { state.scheduler.finished(entry) }
        // Handed out too long ago, by workers that are all busy: others may claim their keys meanwhile.
        let isLate = state.deskUntil.map { $0 <= state.scheduler.now } ?? false
        for entry in unstarted.reversed() { state.scheduler.unstarted(entry, keepsClaim: !isLate) }
        state.scheduler.handedOut = 0
        state.deskUntil = nil
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
            #if BrokenVariants
                if BrokenVariant.duplicateDoneEarly.isOn {
                    entry.result = .duplicate
                    state.scheduler.finished(entry)
                    continue
                }
            #endif
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
            if let due = state.withLock({ $0.nextDue }) {
                let delay = Duration.nanoseconds(max(0, due - time.monotonic()))
                if delay > .zero { await rearmed.wait(atMost: delay, clock: configuration.clock) }
                change { $0.tick(time.monotonic()) }
            } else {
                await rearmed.wait()
            }
        }
    }
}
