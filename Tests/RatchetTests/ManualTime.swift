import Ratchet
import Synchronization

/// Clocks that move when the test says so; whoever sleeps by ``clock`` is woken by that alone.
final class ManualTime: Sendable {
    private struct Sleeper {
        var id: Int
        var deadline: Int64
        var latch: Latch
    }

    private struct State {
        var wall: Int64 = 1_700_000_000_000
        var monotonic: Int64 = 5_000_000_000
        var nextSleeper = 0
        var sleepers: [Sleeper] = []
        var watchers: [(deadline: Int64, latch: Latch)] = []
    }

    private let state = Mutex(State())

    var source: TimeSource {
        TimeSource(
            wall: { self.state.withLock { $0.wall } },
            monotonic: { self.state.withLock { $0.monotonic } }
        )
    }

    var clock: ManualClock { ManualClock(time: self) }

    fileprivate var now: Int64 { state.withLock { $0.monotonic } }

    func advance(milliseconds: Int64) {
        let due = state.withLock { state in
            state.wall += milliseconds
            state.monotonic += milliseconds * 1_000_000
            let now = state.monotonic
            defer { state.sleepers.removeAll { $0.deadline <= now } }
            return state.sleepers.filter { $0.deadline <= now }
        }
        for sleeper in due { sleeper.latch.open() }
    }

    /// The wall clock alone leaps.
    func leap(milliseconds: Int64) { state.withLock { $0.wall += milliseconds } }

    /// Returns once somebody sleeps who wakes within `milliseconds` from now.
    func untilSleeping(milliseconds: Int64) async {
        let latch = Latch()
        let sleeps = state.withLock { state in
            let deadline = state.monotonic + milliseconds * 1_000_000
            if state.sleepers.contains(where: { $0.deadline <= deadline }) { return true }
            state.watchers.append((deadline, latch))
            return false
        }
        if !sleeps { await latch.wait() }
    }

    fileprivate func sleep(until deadline: Int64) async throws {
        let latch = Latch()
        let sleeper = state.withLock { state -> (id: Int, watchers: [Latch])? in
            guard deadline > state.monotonic else { return nil }
            state.nextSleeper += 1
            state.sleepers.append(Sleeper(id: state.nextSleeper, deadline: deadline, latch: latch))
            defer { state.watchers.removeAll { $0.deadline >= deadline } }
            return (state.nextSleeper, state.watchers.filter { $0.deadline >= deadline }.map(\.latch))
        }
        guard let sleeper else { return }
        for watcher in sleeper.watchers { watcher.open() }
        await latch.wait()
        state.withLock { $0.sleepers.removeAll { $0.id == sleeper.id } }
        try Task.checkCancellation()
    }
}

/// The monotonic clock of a ``ManualTime``, for those who sleep.
struct ManualClock: Clock {
    struct Instant: InstantProtocol {
        var nanoseconds: Int64
        func advanced(by duration: Duration) -> Instant { Instant(nanoseconds: nanoseconds + duration.nanoseconds) }
        func duration(to other: Instant) -> Duration { .nanoseconds(other.nanoseconds - nanoseconds) }
        static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    }

    fileprivate let time: ManualTime

    var now: Instant { Instant(nanoseconds: time.now) }
    var minimumResolution: Duration { .nanoseconds(1) }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try await time.sleep(until: deadline.nanoseconds)
    }
}
