import CoreMetrics
import Logging
import Synchronization

// How partitions are given back, or lost.
extension PipelineRun {
    /// Drain, commit, fence, then let go.
    func giveBack(
        _ partitions: [TopicPartition],
        _ leases: [PartitionLease],
        within limit: Duration,
        _ session: any SourceSession
    ) async {
        let (isDrained, behind) = await settle(leases, within: min(limit, configuration.drainTimeout), session)
        // The run has ended meanwhile, and has drained all that it had, these too.
        if Task.isCancelled { return }
        guard await letGo(leases, isDrained: isDrained, behind, session) else { return }
        // What has been lost and assigned anew meanwhile is not what was asked for.
        let assigned = self.leases(of: partitions).map(\.partition)
        await session.release(partitions.filter { !assigned.contains($0) })
        logger.info("partitions given back", metadata: [LogKeys.count: "\(partitions.count)"])
    }

    /// The partitions are another member's already, or the channels are gone: nothing of ours counts any more.
    func lose(_ partitions: [TopicPartition]) {
        noteStopped(partitions, nil)
        let leases = leases(of: partitions)
        for lease in leases { lease.fence() }
        remove(leases)
        logger.warning(
            "partitions lost: what was running for them will be run again, here or by another member",
            metadata: [LogKeys.count: "\(partitions.count)"]
        )
    }

    /// Whoever waits for a drain of them, as the end of the run may, waits no longer.
    private func remove(_ leases: [PartitionLease]) {
        let ended = change { (state: inout State) in
            clearDesk(&state)
            for lease in leases { state.scheduler.remove(slot: lease.slot) }
            return leases.compactMap { state.owned.removeValue(forKey: $0.slot) }
        }
        for partition in ended { partition.drain.open() }
        // A queue's channels do not come again.
        guard source.model == .queue else { return }
        paused.withLock { paused in
            for lease in leases { paused.remove(lease.partition) }
        }
    }

    func leases(of partitions: [TopicPartition]) -> [PartitionLease] {
        state.withLock { state in partitions.compactMap { state.scheduler.lease(of: $0) } }
    }

    /// Waits until everything of these partitions that runs is settled, to a deadline; fences them and commits what is
    /// durable.
    func drain(_ leases: [PartitionLease], within limit: Duration, _ session: any SourceSession) async {
        let (isDrained, behind) = await settle(leases, within: limit, session)
        _ = await letGo(leases, isDrained: isDrained, behind, session)
    }

    /// Returns whether everything that runs is settled, and what was never tried and is to go back behind that.
    private func settle(
        _ leases: [PartitionLease],
        within limit: Duration,
        _ session: any SourceSession
    ) async -> (isDrained: Bool, behind: [UntriedMessages]) {
        let untried = change { (state: inout State) in
            clearDesk(&state)
            return leases.map { ($0, state.scheduler.drain(slot: $0.slot)) }
        }
        // Others need not wait for what runs here.
        await giveBack(untried.map { UntriedMessages(lease: $0, tags: $1.free) }, session)
        let isDrained = await waitForDrains(of: leases, within: limit)
        return (isDrained, untried.map { UntriedMessages(lease: $0, tags: $1.behind) })
    }

    private func waitForDrains(of leases: [PartitionLease], within limit: Duration) async -> Bool {
        let latches = state.withLock { state in leases.compactMap { state.owned[$0.slot]?.drain } }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for latch in latches { await latch.wait() }
                return !Task.isCancelled
            }
            group.addTask {
                await self.pause(for: limit)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }

    /// Ends the leases; what runs under them in the writer at this moment is settled before, and is to be committed: the
    /// next owner may have another ledger. Returns whether it is known to be over.
    @discardableResult
    func fence(_ leases: [PartitionLease]) async -> Bool {
        do {
            try await ledger.fence(leases)
            return true
        } catch {
            fail(error)
            return false
        }
    }

    private func letGo(
        _ leases: [PartitionLease],
        isDrained: Bool,
        _ behind: [UntriedMessages],
        _ session: any SourceSession
    ) async -> Bool {
        let isFenced = await fence(leases)
        if !isDrained {
            logger.warning(
                "drain timed out: what is still running will be run again by the partition's next owner",
                metadata: [LogKeys.count: "\(leases.count)"]
            )
        }
        await commit(session)
        await giveBack(behind, session)
        remove(leases)
        return isFenced
    }
}
