import Synchronization

/// A process of the simulation: an executor for its tasks, all of whose work runs on the simulated thread. It can be
/// frozen, as by SIGSTOP, and goes on later as if no time had passed.
final class SimulatedProcess: TaskExecutor {
    private struct State {
        var isFrozen = false
        var held: [UnownedJob] = []
    }

    let scheduler: SimulatedScheduler
    private let state = Mutex(State())

    init(_ scheduler: SimulatedScheduler) { self.scheduler = scheduler }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isHeld = state.withLock { state in
            if state.isFrozen { state.held.append(job) }
            return state.isFrozen
        }
        if !isHeld { scheduler.enqueue(job, of: self) }
    }

    /// What is enqueued from now on waits; what is ready already runs. Returns whether it ran until now.
    func freeze() -> Bool {
        state.withLock { state in
            defer { state.isFrozen = true }
            return !state.isFrozen
        }
    }

    func thaw() {
        let held = state.withLock { state in
            state.isFrozen = false
            defer { state.held = [] }
            return state.held
        }
        for job in held { scheduler.enqueue(job, of: self) }
    }

    /// Gives a writer its turns, each of them a step of the simulation.
    func takeTurns(_ turn: @escaping @Sendable () -> Void) {
        // Whoever asks does not wait, as for a thread. The executor keeps it in the simulation.
        Task(executorPreference: self) { turn() }
    }
}
