import Synchronization

/// How often each kind of fault took effect in a run.
final class FaultCounts: Sendable {
    private let counts = Mutex<[SimulatedFault.Kind: Int]>([:])

    var all: [SimulatedFault.Kind: Int] { counts.withLock { $0 } }

    func note(_ kind: SimulatedFault.Kind) { counts.withLock { $0[kind, default: 0] += 1 } }
}
