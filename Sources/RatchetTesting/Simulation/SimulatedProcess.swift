import Synchronization

/// A process of the simulation: an executor for its tasks, all of whose work runs on the simulated thread.
final class SimulatedProcess: TaskExecutor {
    let scheduler: SimulatedScheduler

    init(_ scheduler: SimulatedScheduler) { self.scheduler = scheduler }

    func enqueue(_ job: consuming ExecutorJob) { scheduler.enqueue(UnownedJob(job), of: self) }
}
