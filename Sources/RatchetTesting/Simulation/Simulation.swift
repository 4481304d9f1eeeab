import Ratchet
import Synchronization

/// One simulated run: real pipelines, a real ledger and a real broker in one thread, whose order, clock, network and
/// faults a seed decides.
///
/// The same seed and faults give the same run in every process and on every machine, as ``Outcome/digest`` shows. First
/// comes a phase of faults; then everything heals, and the run must come to rest with nothing left to do. What happened
/// is checked as a ``History``.
public struct Simulation: Sendable {
    /// What came of a run.
    public struct Outcome: Sendable {
        /// What the history's check found.
        public let report: HistoryReport
        /// What happened.
        public let history: History
        /// What was wrong apart from the history, one line each.
        public let problems: [String]
        /// Of every choice on the way: two runs with the same digest went the same way.
        public let digest: UInt64
        /// How often each kind of fault really took effect: crashes of what ran, answers that were lost, handlers that
        /// failed for it. Those that are not there never did.
        public let injected: [SimulatedFault.Kind: Int]
        /// When each fault was at work.
        let spells: [FaultSpell]
        /// How many jobs ran.
        public let steps: Int
        /// How much time has passed in the simulation.
        public let time: Duration

        /// Whether nothing was found.
        public var isSound: Bool { report.isSound && problems.isEmpty }
    }

    /// The seed of the run.
    public let seed: UInt64
    /// What is run.
    public let scenario: Scenario
    /// What goes wrong in it, and when.
    public var faults: [SimulatedFault]

    /// The run of a seed, with that seed's faults.
    public init(seed: UInt64, scenario: Scenario = .standard) {
        self.seed = seed
        self.scenario = scenario
        faults = SimulatedFault.plan(
            seed: seed,
            count: scenario.faults,
            of: scenario.faultKinds,
            members: scenario.members,
            until: Int(scenario.faultTime.nanoseconds / 1_000_000)
        )
    }

    /// Runs it on the calling thread. `directory` exists and is empty, best on a file system in memory; files are left
    /// in it.
    public func run(in directory: String) -> Outcome {
        let world = World(seed: seed, scenario: scenario, directory: directory)
        let director = Director(world, faults)
        let ending = Ending()
        // The simulation's first task. The executor keeps it, and all that come of it, on this thread.
        Task(executorPreference: SimulatedProcess(world.scheduler)) {
            do { ending.end(try await director.run()) } catch { ending.end(["the run failed: \(error)"]) }
        }
        while !ending.hasEnded, world.scheduler.steps < scenario.maximumSteps, world.scheduler.step() {}
        var problems = ending.problems ?? ["it did not come to rest: \(world.scheduler.steps) steps"]
        let (digest, steps, time) = (world.scheduler.digest, world.scheduler.steps, world.scheduler.now)
        // What has died ends as well, so that nothing is left of it in memory.
        while world.scheduler.steps < steps + 200_000, world.scheduler.step() {}
        if world.scheduler.steps >= steps + 200_000 { problems.append("its tasks did not end") }
        let history = world.record.history()
        return Outcome(
            report: HistoryChecker.check(history),
            history: history,
            problems: problems,
            digest: digest,
            injected: world.injected.all,
            spells: world.injected.spells,
            steps: steps,
            time: .nanoseconds(time)
        )
    }
}

/// How a director's run has ended.
private final class Ending: Sendable {
    private let state = Mutex<[String]?>(nil)

    var problems: [String]? { state.withLock { $0 } }
    var hasEnded: Bool { problems != nil }
    func end(_ problems: [String]) { state.withLock { $0 = problems } }
}
