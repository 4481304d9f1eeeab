import CoreMetrics
import Logging
import Metrics
import Synchronization

#if CrashPoints
    import LMDB
#endif

extension PipelineRun {
    /// Commits durable positions from time to time, and lets expired keys go where no message does it by the way.
    func commitNowAndThen(_ session: any SourceSession) async {
        while !Task.isCancelled {
            if source.model == .queue {
                await acking.wait(atMost: configuration.commitInterval, clock: configuration.clock)
            } else {
                await pause(for: configuration.commitInterval)
            }
            if Task.isCancelled { return }
            await commit(session)
            // Under another's hands: a pipeline with nothing to write would not hear of it.
            if let failure = ledger.failure { fail(failure) }
            do {
                if ledger.hasExpired { try await ledger.expire() }
            } catch {
                fail(error)
            }
            reconsiderFull()
            metrics.inFlight.record(state.withLock { $0.scheduler.inFlight })
        }
    }

    /// Goes on taking messages in, or stops, by the room that window and outbox have now.
    func reconsiderFull() {
        let isWindowFull = ledger.isWindowFull
        let isToBeReported = change { (state: inout State) in limitIntake(&state, isWindowFull: isWindowFull) }
        if isToBeReported { reportFullOutbox() }
    }

    /// Stops the intake while window or outbox are full; true when a full outbox is to be reported.
    func limitIntake(_ state: inout State, isWindowFull: Bool) -> Bool {
        // Looked at under the lock: of two threads that come here the last one knows what is so now.
        let isOutboxFull = ledger.outbox.backlog >= configuration.outboxBacklog
        state.scheduler.setFull(isWindowFull || isOutboxFull)
        guard isOutboxFull else { return false }
        let now = ledger.configuration.time.monotonic()
        if let last = state.fullOutboxReport, now - last < fullOutboxReportInterval { return false }
        state.fullOutboxReport = now
        return true
    }

    func reportFullOutbox() {
        var metadata: Logger.Metadata = [LogKeys.count: "\(ledger.outbox.backlog)"]
        if let refusal = ledger.outbox.refusal {
            metadata[LogKeys.topic] = "\(refusal.topic)"
            metadata[LogKeys.error] = "\(refusal.error)"
        }
        logger.warning(
            "the outbox is full: nothing more is taken in until the sink takes its messages; nothing is lost, see why the sink refuses them or is slow",
            metadata: metadata
        )
    }

    /// Commits what is durable and not committed yet. Never past what the ledger has synced.
    func commit(_ session: any SourceSession) async {
        await committing.take()
        defer { committing.pass() }
        if source.model == .queue { return await ack(session) }
        let metadata = CommitMetadata(ledger: ledger.id, epoch: ledger.epoch).description
        let pending = state.withLock { state in
            let leases = state.scheduler.leases
            return leases.compactMap { lease in state.owned[lease.slot]?.uncommitted.take().map { (lease, $0) } }
        }
        guard !pending.isEmpty else { return }
        let commits = pending.map { lease, offset in
            OffsetCommit(partition: lease.partition, offset: offset, generation: lease.generation, metadata: metadata)
        }
        do {
            #if CrashPoints
                CrashPoint.pipelineCommitting.reach()
            #endif
            try await session.commit(commits)
            #if CrashPoints
                CrashPoint.pipelineCommitted.reach()
            #endif
        } catch {
            // The ledger knows better than the broker: nothing is lost, and the next commit carries the position on.
            logger.warning("commit failed, tried again later", metadata: [LogKeys.error: "\(error)"])
            state.withLock { state in
                for (lease, offset) in pending where !lease.isFenced && state.owned[lease.slot]?.uncommitted == nil {
                    state.owned[lease.slot]?.uncommitted = offset
                }
            }
        }
    }
}

/// How often a full outbox is reported at the most, in nanoseconds: a minute.
private let fullOutboxReportInterval: Int64 = 60_000_000_000
