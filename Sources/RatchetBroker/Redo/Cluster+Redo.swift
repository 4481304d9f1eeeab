import CoreMetrics
import LMDB
import Logging
import Ratchet

extension Cluster {
    /// These are durable now; they go to their partitions.
    func decided(_ parts: [RedoLog.Part]) { perform(redo.handle(.decided(parts))) }

    /// Tries again what has failed.
    func retryDecided() { perform(redo.handle(.retryAll)) }

    /// Tries again what has failed at one partition.
    func retryDecided(of uid: UInt32) { perform(redo.handle(.retry(uid: uid))) }

    /// Begins with what a crash has left.
    func beginStored() throws {
        let tables = storage.tables
        let (parts, gone) = try storage.read { transaction in
            try RedoTable.all(in: transaction, tables) { partition($0)?.log }
        }
        redo.gate.add(parts.reduce(0) { $0 + $1.bytes })
        remove(gone)
        decided(parts)
    }

    private func perform(_ actions: [RedoLog.Lanes.Action]) {
        for action in actions {
            switch action {
            case .append(let uid, let parts): append(parts, to: uid)
            case .settled(let parts):
                redo.gate.leave(parts.reduce(0) { $0 + $1.bytes })
                remove(parts.map(\.key))
            case .idle: break
            case .stuck(let uid, let attempts): tellStuck(uid, attempts)
            }
        }
        metrics.decided.record(redo.count)
    }

    private func tellStuck(_ uid: UInt32, _ attempts: Int) {
        guard let log = partition(uid)?.log else { return }
        configuration.logger.warning(
            "A partition does not take what is decided: it is tried again.",
            metadata: LogKeys.stuck(log.partition, attempts, standing: partition(uid)?.standing)
        )
    }

    private func append(_ parts: [RedoLog.Part], to uid: UInt32) {
        let segments = parts.map { part in
            Appender.Request.Segment(
                log: part.content.log,
                parts: [part.content.part],
                stamp: ProducerStamp(decision: part.key.number, sequences: part.content.sequences)
            )
        }
        submit(
            Appender.Request(segments: segments) { [self] result in
                #if CrashPoints
                    CrashPoint.redoAppended.reach()
                #endif
                perform(redo.handle(.answered(uid: uid, answer(result, of: uid))))
            }
        )
    }

    private func answer(_ result: Result<[Int64], any Error>, of uid: UInt32) -> RedoLog.Lanes.Answer {
        guard case .failure(let error) = result else { return .isThere }
        guard let log = partition(uid)?.log else { return .isGone }
        configuration.logger.debug(
            "What was decided is tried again.",
            metadata: LogKeys.error(error, partition: log.partition)
        )
        return .failed
    }

    private func remove(_ keys: [RedoKey]) {
        guard redo.note(settled: keys) else { return }
        let tables = storage.tables
        storage.submit(
            WriteJob(byteCount: 0, reclaims: true) { [redo] transaction in
                try RedoTable.remove(redo.takeSettled(), in: transaction, tables)
                #if CrashPoints
                    CrashPoint.redoRemoved.reach()
                #endif
            } done: { [redo] result in
                // What stays is found to be in the logs at the next opening.
                if case .failure = result { redo.notRemoved() }
            }
        )
    }

    // MARK: Waiting

    /// Waits until the partitions have all that the producer has decided, for ``Broker/Configuration/replicationTimeout``
    /// at the most, and tries again meanwhile; whether they have.
    func untilApplied(owner: Int64) async -> Bool {
        let end = clock.now + configuration.replicationTimeout
        while let idle = redo.idle(owner: owner) {
            let rest = end - clock.now
            guard rest > .zero, !Task.isCancelled, !redo.isClosed else { return false }
            if await idle.wait(atMost: min(rest, configuration.tickInterval), clock: configuration.clock) { continue }
            retryDecided()
        }
        return true
    }

    /// Why nothing can be decided just now about the partitions, nil when it can: what is decided nevertheless waits
    /// until they take it.
    func refusal(of logs: [PartitionLog]) -> BrokerError? {
        for log in logs {
            guard let standing = partition(log.uid)?.standing else { return unavailable(log) }
            if let refusal = refusal(of: log, standing) { return refusal }
        }
        return nil
    }

    /// Why a send that waits for all in-sync replicas is refused.
    func refusal(of log: PartitionLog, _ standing: ReplicatedPartition.Standing) -> BrokerError? {
        guard standing.inSync < standing.minimum else { return nil }
        return BrokerError(
            .notEnoughReplicas,
            "\(log.partition) has \(standing.inSync) replicas in sync, minInSyncReplicas is \(standing.minimum): "
                + "nothing was written"
        )
    }
}
