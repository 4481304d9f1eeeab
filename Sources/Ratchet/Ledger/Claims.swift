import LMDB
import Synchronization

/// The claims of one opening of the ledger, shared by the group's pipelines in this process.
package final class Claims: Sendable {
    private struct State {
        var table = ClaimTable()
        var pipelines: [Int: @Sendable ([Int]) -> Void] = [:]
        var nextPipeline = 1
    }

    private let state = Mutex(State())

    init() {}

    /// Registers a pipeline; `released` is called with the numbers of its messages that need not wait any longer.
    package func register(_ released: @escaping @Sendable ([Int]) -> Void) -> Int {
        state.withLock { state in
            defer { state.nextPipeline += 1 }
            state.pipelines[state.nextPipeline] = released
            return state.nextPipeline
        }
    }

    /// Ends a pipeline's part; what it still holds, for handlers that did not come to an end, is given back.
    package func unregister(_ pipeline: Int) {
        let calls = state.withLock { state in
            state.pipelines[pipeline] = nil
            return Self.calls(state.table.releaseAll(of: pipeline), state)
        }
        for (released, message) in calls { released([message]) }
    }

    /// Takes the claim, or returns false and tells `waiter` later.
    package func claim(_ fingerprint: UInt64, for waiter: ClaimTable.Waiter) -> Bool {
        state.withLock { $0.table.claim(fingerprint, for: waiter) }
    }

    package func release(_ fingerprints: [UInt64]) {
        // In short turns: workers claim keys meanwhile.
        for start in stride(from: 0, to: fingerprints.count, by: 64) {
            let calls = state.withLock { state in
                var waiters: [ClaimTable.Waiter] = []
                for fingerprint in fingerprints[start..<min(start + 64, fingerprints.count)] {
                    waiters += state.table.release(fingerprint)
                }
                return Self.calls(waiters, state)
            }
            for (released, message) in calls { released([message]) }
        }
    }

    private static func calls(
        _ waiters: [ClaimTable.Waiter],
        _ state: State
    ) -> [(released: @Sendable ([Int]) -> Void, message: Int)] {
        waiters.compactMap { waiter in state.pipelines[waiter.pipeline].map { ($0, waiter.message) } }
    }
}

extension Ledger {
    /// Whether the key of a message that is about to start is known as done. The settlement looks again, and decides.
    package func isKnownDuplicate(_ entry: SettlementEntry) throws -> Bool {
        let candidates = journal.candidates(entry.fingerprint)
        guard !candidates.isEmpty else { return false }
        return try environment.read { transaction in
            try entry.batch.withKey(at: Int(entry.index)) { key in
                for sequence in candidates
                where try journal.record(of: key, fingerprint: entry.fingerprint, at: sequence, in: transaction) != nil
                {
                    return true
                }
                return false
            }
        }
    }
}
