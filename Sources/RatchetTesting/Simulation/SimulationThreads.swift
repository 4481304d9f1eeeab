import LMDB
import Synchronization

/// Threads for work that takes one for as long as it lasts, so that other tasks of the process keep theirs: a simulation is
/// one thread's work.
///
/// A body runs in the task that asks for it, with all that is bound to that task.
package final class SimulationThreads: TaskExecutor {
    private struct State {
        var free: Int
        var waiting = [UnownedJob]()
    }

    private let state: Mutex<State>

    /// At most so many threads at once, 1 or more; who comes when all are busy waits for its turn.
    package init(atOnce count: Int) {
        precondition(count > 0, "simulations need a thread")
        state = Mutex(State(free: count))
    }

    /// Runs the body on one of the threads.
    package func run<R: Sendable, E: Error>(_ body: @Sendable () throws(E) -> R) async throws(E) -> R {
        try await withTaskExecutorPreference(self) { () async throws(E) -> R in try await Self.call(body) }
    }

    // Not where the caller is isolated to.
    @concurrent
    private static func call<R: Sendable, E: Error>(_ body: @Sendable () throws(E) -> R) async throws(E) -> R {
        try body()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isFree = state.withLock { state in
            guard state.free > 0 else {
                state.waiting.append(job)
                return false
            }
            state.free -= 1
            return true
        }
        if isFree { Platform.startThread(name: "simulation") { self.work(from: job) } }
    }

    /// Runs jobs as long as some wait.
    private func work(from first: UnownedJob) {
        var next: UnownedJob? = first
        while let job = next {
            job.runSynchronously(on: asUnownedTaskExecutor())
            next = state.withLock { state in
                guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
                state.free += 1
                return nil
            }
        }
    }
}
