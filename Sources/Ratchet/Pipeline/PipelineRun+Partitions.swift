import CoreMetrics
import Logging
import Metrics
import Synchronization

#if BrokenVariants
    import LMDB
#endif

extension PipelineRun {
    /// What is to be done for a partition that is assigned.
    struct OwnedPartition {
        /// Opened when nothing of it is in flight any more, or it is gone.
        let drain = Latch()
        /// Its position that is durable and not yet committed.
        var uncommitted: Int64?
        /// Of a queue's channel: tags that are durable and not yet acked.
        var unacked: [Int64] = []
    }

    /// In one step: a drain that begins right then finds its latch.
    private func own(_ lease: PartitionLease, uncommitted: Int64? = nil) {
        change { (state: inout State) in
            clearDesk(&state)
            state.scheduler.add(lease)
            state.owned[lease.slot] = OwnedPartition(uncommitted: uncommitted)
        }
    }

    /// Starts partitions that were assigned, or has those stand still that must not be started.
    func begin(_ assignments: [Assignment], _ session: any SourceSession) async throws {
        var ready = assignments
        if configuration.resume.rebuilds {
            ready = []
            // All of them before the first handler runs: a repeat may come in another partition.
            for assignment in assignments {
                let isDone = try await isDone(assignment) { try await rebuildWindow(for: assignment, session) }
                if isDone { ready.append(assignment) }
            }
        }
        for assignment in ready where !ending.isOpen {
            _ = try await isDone(assignment) { try await begin(assignment, session) }
        }
    }

    /// Does its part for a partition; false where the partition is another member's by then, or must stand still.
    private func isDone(_ assignment: Assignment, _ body: () async throws -> Void) async throws -> Bool {
        do {
            try await body()
            return true
        } catch let error as SourceError where [.fenced, .notAssigned, .unknownTopic].contains(error.code) {
            // Taken away before it had begun, as from a member that was silent for too long, or with its topic: the
            // others go on.
            lose([assignment.partition])
        } catch let error as ResumeError where configuration.resume.refusal == .stopPartition {
            standStill(error)
        }
        return false
    }

    /// Nothing more of the partition is processed; the others go on.
    func standStill(_ error: ResumeError) {
        noteStopped([error.partition], error)
        logger.error(
            "partition stopped: none of its messages is processed until this is resolved",
            metadata: [
                LogKeys.topic: "\(error.partition.topic)", LogKeys.partition: "\(error.partition.partition)",
                LogKeys.error: "\(error)",
            ]
        )
    }

    /// These partitions stand still for this reason, or no longer.
    func noteStopped(_ partitions: [TopicPartition], _ reason: ResumeError?) {
        let count = progress.stopped(partitions, reason)
        metrics.stoppedPartitions.record(count)
    }

    /// Starts a partition that was assigned, where the ledger says; throws ``ResumeError`` if it must not be started.
    private func begin(_ assignment: Assignment, _ session: any SourceSession) async throws {
        let partition = assignment.partition
        if source.model == .queue { return try await beginChannel(assignment, session) }
        let key = positionKey(of: assignment)
        let known = try await ledger.position(key)
        #if BrokenVariants
            // A topic of whose offsets the group knows nothing yet, as one that was made anew: all else is looked at.
            if BrokenVariant.positionOfOldTopic.isOn, let known, assignment.committed == nil {
                return try await begin(assignment, under: key, at: known.watermark, restart: false, session)
            }
        #endif
        var decision = decide(assignment, known, .unread)
        if case .verify(let offset) = decision {
            let message = try await session.message(at: offset, of: partition)
            let evidence = message.map { ResumeDecision.Evidence.digest($0.batch.digest(at: $0.index)) } ?? .gone
            decision = decide(assignment, known, evidence)
        }
        switch decision {
        case .start(let at): try await begin(assignment, under: key, at: at, restart: false, session)
        // What comes before is remembered by now.
        case .rebuild(let passed, let restart):
            try await begin(assignment, under: key, at: passed.upperBound, restart: restart, session)
        case .restart(let at): try await begin(assignment, under: key, at: at, restart: true, session)
        case .skip(let at, let lost, let restart):
            try await begin(assignment, under: key, at: at, restart: restart, skips: true, session)
            noteLost(lost, of: partition)
        case .overtaken(let lost): throw ResumeError(partition: partition, lost: lost)
        case .refuse(let code, let detail): throw ResumeError(code, partition: partition, detail: detail)
        case .verify(let at): preconditionFailure("\(partition): the record at \(at) was read and is to be read again")
        }
    }

    func positionKey(of assignment: Assignment) -> [UInt8] {
        PositionLayout.key(
            cluster: source.cluster,
            topic: topicName(of: assignment),
            partition: assignment.partition.partition,
            group: source.group
        )
    }

    /// A topic that was made anew is another one, where the source can tell.
    private func topicName(of assignment: Assignment) -> String {
        #if BrokenVariants
            if BrokenVariant.positionOfOldTopic.isOn { return assignment.partition.topic }
        #endif
        return assignment.topicID ?? assignment.partition.topic
    }

    private func begin(
        _ assignment: Assignment,
        under key: [UInt8],
        at offset: Int64,
        restart: Bool,
        skips: Bool = false,
        _ session: any SourceSession
    ) async throws {
        let partition = assignment.partition
        let slot = state.withLock { $0.scheduler.reserveSlot() }
        let lease: PartitionLease
        do {
            lease = try await ledger.lease(
                key,
                of: partition,
                generation: assignment.generation,
                slot: slot,
                startingAt: offset,
                restart: restart,
                skips: skips
            )
        } catch let error as LedgerError where error.code == .fenced {
            // A newer generation has it. The source says so too, unless its generations have begun anew.
            try await session.start(partition, at: offset, generation: assignment.generation)
            throw error
        }
        try await adopt(assignment, at: lease.startOffset, session)
        let isCommitted = assignment.committed?.offset == lease.startOffset
        own(lease, uncommitted: isCommitted ? nil : lease.startOffset)
        progress.reached([(partition, lease.startOffset)])
        logger.info(
            "partition assigned",
            metadata: [
                LogKeys.topic: "\(partition.topic)", LogKeys.partition: "\(partition.partition)",
                LogKeys.generation: "\(assignment.generation)", LogKeys.position: "\(lease.startOffset)",
            ]
        )
        try await session.start(partition, at: lease.startOffset, generation: assignment.generation)
        forgetPause(of: partition)
    }

    /// A queue's channel begins with its first tag, whatever the ledger knows.
    private func beginChannel(_ assignment: Assignment, _ session: any SourceSession) async throws {
        let partition = assignment.partition
        let slot = state.withLock { $0.scheduler.reserveSlot() }
        let lease = ledger.channelLease(
            of: partition,
            group: source.group,
            generation: assignment.generation,
            slot: slot,
            startingAt: assignment.log.lowerBound
        )
        own(lease)
        logger.info(
            "channel assigned",
            metadata: [
                LogKeys.topic: "\(partition.topic)", LogKeys.partition: "\(partition.partition)",
                LogKeys.generation: "\(assignment.generation)",
            ]
        )
        try await session.start(partition, at: lease.startOffset, generation: assignment.generation)
        forgetPause(of: partition)
    }

    /// Puts our name to a position that somebody else has committed, before anything is processed from there: after a
    /// crash it would be taken for an operator's reset once more, and what has been processed since would be processed
    /// again.
    private func adopt(_ assignment: Assignment, at offset: Int64, _ session: any SourceSession) async throws {
        guard let committed = assignment.committed, CommitMetadata(committed.metadata)?.ledger != ledger.id else {
            return
        }
        let metadata = CommitMetadata(ledger: ledger.id, epoch: ledger.epoch).description
        try await session.commit([
            OffsetCommit(
                partition: assignment.partition,
                offset: offset,
                generation: assignment.generation,
                metadata: metadata
            )
        ])
    }

    func decide(
        _ assignment: Assignment,
        _ known: OffsetTracker?,
        _ evidence: ResumeDecision.Evidence
    ) -> ResumeDecision {
        ResumeDecision.decide(
            assignment: assignment,
            ledger: known,
            ledgerID: ledger.id,
            policy: configuration.resume,
            evidence: evidence
        )
    }
}
