import HeapModule
import Synchronization

/// Runs the jobs of all simulated processes on the calling thread, one at a time, in an order that its seed decides,
/// and lets time pass only when nothing can run.
///
/// The same seed gives the same order in every process and on every machine: it reads no clock and no set's order.
/// Idea: FoundationDB's simulation and TigerBeetle's VOPR, on Swift's task executors.
final class SimulatedScheduler: Sendable {
    private struct ReadyJob {
        let job: UnownedJob
        let process: SimulatedProcess
    }

    /// Something that waits for a time.
    private struct Timer: Comparable {
        let due: Int64
        let number: Int
        static func < (a: Timer, b: Timer) -> Bool { (a.due, a.number) < (b.due, b.number) }
    }

    private struct State {
        var random: SeededGenerator
        var ready: [ReadyJob] = []
        var timers = Heap<Timer>()
        var waiting: [Int: @Sendable () -> Void] = [:]
        /// What waits for a number of steps.
        var breaks = Heap<Timer>()
        var lastNumber = 0
        var now: Int64 = 0
        var steps = 0
        var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    }

    private let state: Mutex<State>

    init(seed: UInt64) { state = Mutex(State(random: SeededGenerator(seed: seed))) }

    /// Nanoseconds since the simulation began.
    var now: Int64 { state.withLock { $0.now } }
    /// How many jobs have run.
    var steps: Int { state.withLock { $0.steps } }
    /// Of every choice so far: two runs that agree in it have taken the same way.
    var digest: UInt64 { state.withLock { $0.digest } }

    func enqueue(_ job: UnownedJob, of process: SimulatedProcess) {
        state.withLock { $0.ready.append(ReadyJob(job: job, process: process)) }
    }

    /// Has `body` called at a time, on the simulated thread; returns the number by which it can be called off.
    func call(at due: Int64, _ body: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.lastNumber += 1
            state.waiting[state.lastNumber] = body
            state.timers.insert(Timer(due: max(due, state.now), number: state.lastNumber))
            return state.lastNumber
        }
    }

    /// Calls a call off; whether it had not been made yet.
    @discardableResult
    func callOff(_ number: Int) -> Bool { state.withLock { $0.waiting.removeValue(forKey: number) != nil } }

    /// Enters a number of the caller's into the digest.
    func note(_ value: UInt64) { state.withLock { Self.mix(value, &$0) } }

    /// Waits until so many more jobs have run, or nothing else is left to be done. Time passes only when no job is
    /// ready: whoever waits for a time alone finds nobody in the middle of something.
    func pass(jobs: Int) async {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                state.lastNumber += 1
                state.waiting[state.lastNumber] = { continuation.resume() }
                state.breaks.insert(Timer(due: Int64(state.steps + jobs), number: state.lastNumber))
            }
        }
    }

    /// Runs one job, or makes the next call that is due; false if nothing is left to be done.
    func step() -> Bool {
        takeBreak()?()
        if let job = takeJob() {
            job.job.runSynchronously(on: job.process.asUnownedTaskExecutor())
            return true
        }
        guard let call = takeCall() ?? takeBreak(early: true) else { return false }
        call()
        return true
    }

    private func takeBreak(early: Bool = false) -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard let first = state.breaks.min, early || first.due <= Int64(state.steps) else { return nil }
            state.breaks.removeMin()
            return state.waiting.removeValue(forKey: first.number)
        }
    }

    private func takeJob() -> ReadyJob? {
        state.withLock { state in
            guard !state.ready.isEmpty else { return nil }
            let choice = Int(state.random.next(below: UInt64(state.ready.count)))
            state.steps += 1
            Self.mix(UInt64(choice), &state)
            // The last one takes its place: the order is the seed's anyway.
            state.ready.swapAt(choice, state.ready.count - 1)
            return state.ready.removeLast()
        }
    }

    private func takeCall() -> (@Sendable () -> Void)? {
        state.withLock { state in
            while let timer = state.timers.popMin() {
                guard let call = state.waiting.removeValue(forKey: timer.number) else { continue }
                state.now = max(state.now, timer.due)
                Self.mix(UInt64(bitPattern: timer.due), &state)
                return call
            }
            return nil
        }
    }

    // FNV-1a over whole words.
    private static func mix(_ value: UInt64, _ state: inout State) {
        state.digest = (state.digest ^ value) &* 0x0000_0100_0000_01b3
    }
}
