import LMDB
import Ratchet
import RatchetBroker
import Synchronization

// Commits of the ledger that fail: the process is at its end then.
extension PipelineNode {
    /// How long pipelines may take to end by themselves: handlers may hang, and the process stand still.
    private static let longestEnd = Duration.seconds(60)

    /// Has the next commit fail; returns the ledger, nil if no process runs.
    func failNextCommit(_ fault: Environment.CommitFault) -> Ledger? {
        let ledger = state.withLock { $0.ledger }
        ledger?.failNextCommit(fault)
        return ledger
    }

    /// Has commits succeed again, by a new process if one has failed; whether one has. The pipelines must have ended by
    /// themselves.
    func replace(_ ledger: Ledger) async throws -> Bool {
        ledger.failNextCommit(nil)
        guard ledger.failure != nil else { return false }
        let deadline = world.clock.now.advanced(by: Self.longestEnd)
        while let running = running(over: ledger) {
            if running.isEmpty || world.clock.now >= deadline {
                for member in running {
                    world.record.add(problem: "pipeline \(member) runs on over a ledger that has failed")
                }
                crash()
                try start()
                break
            }
            try await world.clock.sleep(for: .milliseconds(100))
        }
        return true
    }

    /// The members that run; nil if their process has died.
    private func running(over ledger: Ledger) -> [Int]? {
        state.withLock { $0.ledger === ledger ? $0.shutdowns.keys.sorted() : nil }
    }

    /// A pipeline has ended, by an error or without one, and its ledger has failed: it has to say so, unless something
    /// else ended it. `isAlone`: the broker lives as it did when the pipeline began.
    func check(_ error: (any Error)?, of member: Int, isAlone: Bool) {
        switch error {
        case let error as PipelineError where error.code == .ledger: return
        case is SourceError, is BrokerError, is BrokerNode.Down, is SimulatedLink.Lost, is CancellationError: return
        case nil where !isAlone || state.withLock({ $0.isEnding || $0.leaving.contains(member) }): return
        default:
            let end = error.map { "\($0)" } ?? "no error"
            world.record.add(problem: "pipeline \(member) ended with \(end) when its ledger had failed")
        }
    }
}
