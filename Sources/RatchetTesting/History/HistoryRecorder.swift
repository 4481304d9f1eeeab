public import Ratchet
import Synchronization

/// Records a ``History`` from many tasks and threads at once.
///
/// Each event gets its time under the recorder's lock, so that time never goes back from one event to the next. What
/// begins is to be recorded before it is begun, what has ended after it has: then the history's order is one in which
/// everything may have happened.
public final class HistoryRecorder: Sendable {
    private let time: TimeSource
    private let state: Mutex<History>

    /// A recorder of up to `maximumEvents` events, 50 million by default. Times are monotonic ones of `time`, the
    /// system's by default, which all processes of a machine share: an ``EffectFile`` of another process fits in.
    public init(time: TimeSource = .system, maximumEvents: Int = 50_000_000) {
        self.time = time
        state = Mutex(History(maximumEvents: maximumEvents))
    }

    /// Adds the event that `make` returns, which may name messages and partitions of the history it is given.
    public func record(_ make: (inout History) throws -> History.Event) rethrows {
        try state.withLock { history in
            let event = try make(&history)
            history.append(event, at: time.monotonic())
        }
    }

    /// What was recorded so far.
    public var history: History { state.withLock { $0 } }
}
