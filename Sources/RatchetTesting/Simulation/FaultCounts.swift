import Synchronization

/// How often each kind of fault took effect in a run, and when each fault was at work.
final class FaultCounts: Sendable {
    private let counts = Mutex<[SimulatedFault.Kind: Int]>([:])
    private let log = Mutex<[FaultSpell]>([])

    var all: [SimulatedFault.Kind: Int] { counts.withLock { $0 } }

    /// When each of them was at work, in the order in which they began.
    var spells: [FaultSpell] { log.withLock { $0 } }

    /// A fault begins at a time; answers its number, for its end.
    func begin(_ fault: SimulatedFault, at time: Int64) -> Int {
        log.withLock { spells in
            spells.append(FaultSpell(fault: fault, began: time))
            return spells.count - 1
        }
    }

    func end(_ number: Int, at time: Int64) { log.withLock { $0[number].ended = time } }

    func note(_ kind: SimulatedFault.Kind) { counts.withLock { $0[kind, default: 0] += 1 } }
}
