import Ratchet
import Synchronization

/// A clock whose time passes only when nothing in the simulation can run.
struct SimulatedClock: Clock {
    struct Instant: InstantProtocol {
        /// Since the simulation began.
        var time: Duration

        func advanced(by duration: Duration) -> Instant { Instant(time: time + duration) }
        func duration(to other: Instant) -> Duration { other.time - time }
        static func < (a: Instant, b: Instant) -> Bool { a.time < b.time }
    }

    let scheduler: SimulatedScheduler

    var now: Instant { Instant(time: .nanoseconds(scheduler.now)) }
    var minimumResolution: Duration { .nanoseconds(1) }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let sleep = Sleep(scheduler)
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { sleep.begin($0, until: deadline.time.nanoseconds) }
        } onCancel: {
            sleep.cancel()
        }
    }
}

/// One task that sleeps.
private final class Sleep: Sendable {
    private struct State {
        var continuation: CheckedContinuation<Void, any Error>?
        var call: Int?
        var isCancelled = false
    }

    private let scheduler: SimulatedScheduler
    private let state = Mutex(State())

    init(_ scheduler: SimulatedScheduler) { self.scheduler = scheduler }

    func begin(_ continuation: CheckedContinuation<Void, any Error>, until due: Int64) {
        let isCancelled = state.withLock { state in
            if !state.isCancelled {
                state.continuation = continuation
                state.call = scheduler.call(at: due) { self.end() }
            }
            return state.isCancelled
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
    }

    private func end() { state.withLock { $0.continuation.take() }?.resume() }

    func cancel() {
        let (continuation, call) = state.withLock { state in
            state.isCancelled = true
            return (state.continuation.take(), state.call.take())
        }
        if let call { scheduler.callOff(call) }
        continuation?.resume(throwing: CancellationError())
    }
}
