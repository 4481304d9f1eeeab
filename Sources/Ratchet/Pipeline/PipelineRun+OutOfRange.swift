import CoreMetrics
import Logging
import Metrics
import Synchronization

extension PipelineRun {
    /// Retention has overtaken a partition that is running: goes on, or stops, as the policy says, in a pipeline that goes
    /// on.
    func pass(_ gap: OffsetGap, _ lease: PartitionLease, _ session: any SourceSession) async {
        do {
            switch ResumeDecision.decide(at: gap, policy: configuration.resume) {
            case .skip(let offset, let lost, _): try await skip(to: offset, lost, lease, session)
            case .overtaken(let lost): stop(at: ResumeError(partition: gap.partition, lost: lost))
            case .refuse(let code, let detail):
                stop(at: ResumeError(code, partition: gap.partition, detail: detail))
            case .start, .restart, .rebuild, .verify:
                preconditionFailure("\(gap): a partition that is running does not begin")
            }
        } catch let error as SourceError where [.fenced, .notAssigned, .unknownTopic].contains(error.code) {
            // Taken away meanwhile: it is begun elsewhere, with the same policy.
            return
        } catch {
            fail(error)
        }
    }

    private func stop(at error: ResumeError) {
        switch configuration.resume.refusal {
        case .stopPartition: standStill(error)
        case .endPipeline: fail(error)
        }
    }

    /// Waits for what was delivered: until that is done nothing behind it may count as done.
    private func skip(
        to offset: Int64,
        _ lost: Range<Int64>,
        _ lease: PartitionLease,
        _ session: any SourceSession
    ) async throws {
        let isIdle = Latch()
        state.withLock { $0.idles[lease.slot] = isIdle }
        change { $0.awaitIdle(slot: lease.slot) }
        await isIdle.wait()
        // Given back, let go or stopped: what was delivered may not be done, and whoever begins next decides anew.
        guard !Task.isCancelled, state.withLock({ $0.scheduler.isRunning(slot: lease.slot) }),
            let position = try await ledger.skip(to: offset, from: lost.lowerBound, under: lease)
        else { return }
        noteLost(lost, of: lease.partition)
        state.withLock { state in
            if state.scheduler.isRunning(slot: lease.slot) { state.owned[lease.slot]?.uncommitted = position }
        }
        progress.reached([(lease.partition, position)])
        try await session.start(lease.partition, at: position, generation: lease.generation)
    }

    /// Messages were deleted before they were processed, and the policy says to go on without them.
    func noteLost(_ lost: Range<Int64>, of partition: TopicPartition) {
        progress.count { $0.lost += lost.count }
        metrics.lost.increment(by: lost.count)
        logger.warning(
            "messages lost: retention deleted them before they were processed, or the policy skips them",
            metadata: [
                LogKeys.topic: "\(partition.topic)", LogKeys.partition: "\(partition.partition)",
                LogKeys.offset: "\(lost.lowerBound)", LogKeys.count: "\(lost.count)",
            ]
        )
    }
}
