import CoreMetrics
import Logging

// The deduplication window of a partition that another ledger has had.
extension PipelineRun {
    private static var progressEvery: Int { 100_000 }

    /// Reads again what another ledger has done of the partition, or a newer copy of this one, and remembers its keys,
    /// where the policy says so. Nothing of the partition is taken over yet: after a crash it is done again.
    func rebuildWindow(for assignment: Assignment, _ session: any SourceSession) async throws {
        guard source.model == .log, intake.keys.append != nil else { return }
        let known = try await ledger.position(positionKey(of: assignment))
        guard case .rebuild(let passed, _) = decide(assignment, known, .unread) else { return }
        guard let session = session as? any RereadableSession else {
            throw ResumeError(
                .foreignLedger,
                partition: assignment.partition,
                detail: "its window cannot be rebuilt: this source cannot read what was delivered before again; "
                    + "`accept` takes the partition over without that"
            )
        }
        let range =
            max(passed.lowerBound, passed.upperBound - Int64(ledger.configuration.window.count))..<passed.upperBound
        report("window is rebuilt: reading again what another ledger has done", range, of: assignment)
        let count = try await remember(range, of: assignment, session)
        report("window rebuilt", range, of: assignment, keys: count)
    }

    private func remember(
        _ passed: Range<Int64>,
        of assignment: Assignment,
        _ session: any RereadableSession
    ) async throws -> Int {
        var (next, count, told) = (passed.lowerBound, 0, 0)
        while !ending.isOpen,
            let batch = try await session.messages(from: next, to: passed.upperBound, of: assignment.partition)
        {
            for start in stride(from: 0, to: batch.count, by: KeyBatch.maximumCount) {
                let indices = start..<min(start + KeyBatch.maximumCount, batch.count)
                _ = try await ledger.remember(intake.keys(of: batch, indices))
            }
            next = batch.lastOffset + 1
            count += batch.count
            progress.count { $0.passed += batch.count }
            metrics.passed.increment(by: batch.count)
            if count / Self.progressEvery > told {
                told = count / Self.progressEvery
                report("window is being rebuilt", next..<passed.upperBound, of: assignment, keys: count)
            }
        }
        return count
    }

    /// `offset` in the log is where the reading is, `position` where it ends.
    private func report(_ what: Logger.Message, _ left: Range<Int64>, of assignment: Assignment, keys: Int = 0) {
        logger.info(
            what,
            metadata: [
                LogKeys.topic: "\(assignment.partition.topic)",
                LogKeys.partition: "\(assignment.partition.partition)",
                LogKeys.offset: "\(left.lowerBound)", LogKeys.position: "\(left.upperBound)",
                LogKeys.count: "\(keys)",
            ]
        )
    }
}
