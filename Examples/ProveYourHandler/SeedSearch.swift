import RatchetTesting
import Synchronization

/// The seeds that are left, for several threads, and what came of the others. Ends at the first that fails.
final class SeedSearch: Sendable {
    private struct State {
        var next: UInt64?
        var passed = 0
        var deliveries = 0
        var redeliveries = 0
        var effects = 0
        var failed: HandlerOutcome?
    }

    private let last: UInt64
    private let state: Mutex<State>
    private let tell: @Sendable (Int) -> Void

    init(_ seeds: ClosedRange<UInt64>, tell: @escaping @Sendable (Int) -> Void) {
        last = seeds.upperBound
        state = Mutex(State(next: seeds.lowerBound))
        self.tell = tell
    }

    func next() -> UInt64? {
        state.withLock { state in
            guard state.failed == nil, let seed = state.next else { return nil }
            state.next = seed < last ? seed + 1 : nil
            return seed
        }
    }

    func note(_ outcome: HandlerOutcome) {
        let passed = state.withLock { state in
            guard outcome.isSound else {
                if state.failed.map({ outcome.seed < $0.seed }) ?? true { state.failed = outcome }
                return 0
            }
            state.passed += 1
            state.deliveries += outcome.counts.delivered
            state.redeliveries += outcome.counts.redelivered
            state.effects += outcome.counts.effects
            return state.passed
        }
        if passed > 0, passed % 1_000 == 0 { tell(passed) }
    }

    var failed: HandlerOutcome? { state.withLock { $0.failed } }
    var deliveries: Int { state.withLock { $0.deliveries } }
    var redeliveries: Int { state.withLock { $0.redeliveries } }
    var effects: Int { state.withLock { $0.effects } }
}
