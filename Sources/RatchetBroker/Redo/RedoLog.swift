import Ratchet
import Synchronization

/// What is decided and not yet in all of its partitions' logs.
final class RedoLog: Sendable {
    typealias Lanes = RedoLanes<RedoMessages>
    typealias Part = Lanes.Part

    private struct State {
        var lanes = Lanes()
        /// Of producers that somebody waits for.
        var idle: [Int64: Latch] = [:]
        /// Rows that are to go.
        var settled: [RedoKey] = []
        var isRemoving = false
        var isClosed = false
    }

    /// Bounds the bytes of what is decided, or about to be.
    let gate: ByteGate
    private let state = Mutex(State())

    init(maximumBytes: Int) { gate = ByteGate(limit: maximumBytes) }

    func handle(_ event: Lanes.Event) -> [Lanes.Action] {
        let (actions, opened) = state.withLock { state -> ([Lanes.Action], [Latch]) in
            guard !state.isClosed else { return ([], []) }
            let actions = state.lanes.handle(event)
            let opened = actions.compactMap { action -> Latch? in
                guard case .idle(let owner) = action else { return nil }
                return state.idle.removeValue(forKey: owner)
            }
            return (actions, opened)
        }
        for latch in opened { latch.open() }
        return actions
    }

    /// Opens once nothing is left that the producer has decided; nil when nothing is.
    func idle(owner: Int64) -> Latch? {
        state.withLock { state in
            guard state.lanes.has(owner: owner) else { return nil }
            if let known = state.idle[owner] { return known }
            let latch = Latch()
            if state.isClosed { latch.open() }
            state.idle[owner] = latch
            return latch
        }
    }

    /// Whether nothing is on its way to a partition.
    var isAtRest: Bool { state.withLock { $0.lanes.isAtRest } }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// How many parts of what is decided are left.
    var count: Int { state.withLock { $0.lanes.count } }

    /// The producers that have something left.
    var owners: [Int64] { state.withLock { $0.lanes.allOwners } }

    /// What is left is for the next opening; who waits hears of it.
    func close(_ error: BrokerError) {
        let waiting = state.withLock { state in
            state.isClosed = true
            // Any order: all are opened.
            return Array(state.idle.values)
        }
        for latch in waiting { latch.open() }
        gate.close(error)
    }

    // MARK: Rows

    /// Notes rows that are to go; whether somebody has to be asked to remove them.
    func note(settled keys: [RedoKey]) -> Bool {
        state.withLock { state in
            state.settled += keys
            guard !state.isRemoving, !state.settled.isEmpty else { return false }
            state.isRemoving = true
            return true
        }
    }

    /// The next time that rows are to go it is tried again.
    func notRemoved() { state.withLock { $0.isRemoving = false } }

    /// What is to be removed by now.
    func takeSettled() -> [RedoKey] {
        state.withLock { state in
            state.isRemoving = false
            defer { state.settled = [] }
            return state.settled
        }
    }
}
