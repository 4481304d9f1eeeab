/// What came of a simulated run of a handler.
public struct HandlerOutcome: Sendable {
    /// The seed of the run.
    public let seed: UInt64
    /// What went wrong in it on purpose: the seed's faults, or those that are left after shrinking.
    public let faults: [SimulatedFault]
    /// When they were at work.
    let spells: [FaultSpell]
    /// How many faults the seed has in all.
    public let plannedFaults: Int
    /// What was found: nothing, or what never may happen.
    public let findings: [SimulatedFinding]
    /// What was wrong apart from the effects, one line each: what ``SimulatedHandler/verify`` found, or that the run did
    /// not come to rest.
    public let problems: [String]
    /// How many messages had which fate.
    public let counts: HistoryReport.Counts
    /// What happened.
    public let history: History
    /// Of every choice on the way: two runs with the same digest went the same way.
    public let digest: UInt64
    /// How much time has passed in the simulation.
    public let time: Duration
    /// How many runs it took to find the smallest that fails.
    public internal(set) var runs = 1

    /// Whether nothing was found.
    public var isSound: Bool { findings.isEmpty && problems.isEmpty }

    init(
        seed: UInt64,
        faults: [SimulatedFault],
        plannedFaults: Int,
        checked: EffectCheck.Checked,
        outcome: Simulation.Outcome
    ) {
        self.seed = seed
        self.faults = faults
        self.plannedFaults = plannedFaults
        findings = checked.findings
        counts = checked.counts
        problems = outcome.problems
        spells = outcome.spells
        history = outcome.history
        digest = outcome.digest
        time = outcome.time
    }

    /// Whether it fails, and for a reason that another one fails for as well.
    func fails(like other: HandlerOutcome) -> Bool {
        if other.findings.isEmpty { return !problems.isEmpty }
        let kinds = Set(other.findings.map(\.kind))
        return findings.contains { kinds.contains($0.kind) }
    }
}
