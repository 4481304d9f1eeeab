import RatchetTesting
import Seeds
import Synchronization

/// The seeds that are left, and what came of the others.
final class Work: Sendable {
    private struct State {
        var next: UInt64
        var end: UInt64
        var done = 0
        var failed: [UInt64] = []
        var table = FaultTable()
    }

    private let endsAtFailure: Bool
    private let count: UInt64
    private let progress = Progress()
    private let state: Mutex<State>

    init(first: UInt64, count: UInt64, endsAtFailure: Bool) {
        self.endsAtFailure = endsAtFailure
        self.count = count
        state = Mutex(State(next: first, end: first + count))
    }

    var done: Int { state.withLock { $0.done } }
    var failed: [UInt64] { state.withLock { $0.failed.sorted() } }
    var table: FaultTable { state.withLock { $0.table } }

    /// No more is told of how far it is.
    func finish() { progress.finish() }

    func next() -> UInt64? {
        state.withLock { state in
            guard state.next < state.end, !endsAtFailure || state.failed.isEmpty else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    func note(_ seed: UInt64, _ outcome: Simulation.Outcome) {
        state.withLock { state in
            state.done += 1
            if !outcome.isSound { state.failed.append(seed) }
            state.table.note(outcome)
            progress.note(state.done, of: Int(count), "seeds", ", \(state.failed.count) failed")
        }
    }
}
