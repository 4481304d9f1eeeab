import DequeModule
import Synchronization

/// What workers exchange between two turns of the scheduler's lock: messages that were handed out ahead, and results
/// that the scheduler has not heard of yet.
///
/// A turn of that lock for each message costs more than a fast handler, and two threads that meet at it go into the
/// kernel. So one worker's turn serves several messages. Nothing stays here for longer than the pipeline's
/// ``PipelineConfiguration/batchDelay``, and nothing that any worker could run waits behind one that is busy.
final class WorkerDesk: Sendable {
    private struct State {
        var ahead = Deque<SettlementEntry>()
        var finished: [SettlementEntry] = []
    }

    private let state = Mutex(State())

    /// Leaves a result and takes the next message. Nil if there is no more than one, and then the result is not taken
    /// either: whoever starts the last one tells the scheduler, which may have waited for that.
    func exchange(_ finished: SettlementEntry) -> SettlementEntry? {
        state.withLock { state in
            guard state.ahead.count > 1, let next = state.ahead.popFirst() else { return nil }
            state.finished.append(finished)
            return next
        }
    }

    /// Takes a message that was handed out ahead.
    func take() -> SettlementEntry? { state.withLock { $0.ahead.popFirst() } }

    /// How many messages are handed out ahead.
    var count: Int { state.withLock { $0.ahead.count } }

    /// Hands messages out ahead, unless there are some.
    func lay(_ entries: () -> Deque<SettlementEntry>) {
        state.withLock { state in
            if state.ahead.isEmpty { state.ahead = entries() }
        }
    }

    /// Takes the results.
    func takeFinished() -> [SettlementEntry] {
        state.withLock { state in
            defer { state.finished = [] }
            return state.finished
        }
    }

    /// Takes everything.
    func clear() -> (finished: [SettlementEntry], unstarted: [SettlementEntry]) {
        state.withLock { state in
            defer { state = State() }
            return (state.finished, Array(state.ahead))
        }
    }
}
