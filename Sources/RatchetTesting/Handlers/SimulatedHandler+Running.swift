#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension SimulatedHandler {
    /// As many as there are processors: more would only get in each other's way.
    private static let threads = SimulationThreads(atOnce: max(1, ProcessInfo.processInfo.activeProcessorCount))

    /// Runs one seed: some milliseconds. The same seed is the same run, in every process and on every machine.
    ///
    /// If it fails it is run again with fewer faults, up to a hundred times, and the outcome is that of the smallest run
    /// that fails in the same way; `isShrinking` false leaves that out.
    ///
    /// It has a thread of its own: other tasks go on meanwhile. As many seeds run at once in a process as there are
    /// processors, and others wait until one of them is over.
    ///
    /// Throws ``SimulationError`` when there is no place for the run's files. They are in memory where the system has
    /// such a place, and are gone afterwards.
    public func run(seed: UInt64, isShrinking: Bool = true) async throws(SimulationError) -> HandlerOutcome {
        try await Self.threads.run { () throws(SimulationError) in
            try runHere(Simulation(seed: seed, scenario: scenario), isShrinking: isShrinking)
        }
    }

    /// Runs one seed with these faults and no others, such as those of an ``HandlerOutcome/faults``.
    public func run(
        seed: UInt64,
        with faults: [SimulatedFault]
    ) async throws(SimulationError) -> HandlerOutcome {
        var simulation = Simulation(seed: seed, scenario: scenario)
        simulation.faults = faults
        return try await Self.threads.run { [simulation] () throws(SimulationError) in try play(simulation) }
    }

    /// Runs seed after seed, until one fails: the outcome is that one's, shrunk, or the last one's. `progress` is called
    /// after each seed that was sound.
    ///
    /// Throws ``SimulationError`` also when the task is cancelled, before the next seed.
    public func run(
        seeds: ClosedRange<UInt64>,
        progress: (UInt64) -> Void = { _ in }
    ) async throws(SimulationError) -> HandlerOutcome {
        var seed = seeds.lowerBound
        while true {
            guard !Task.isCancelled else { throw SimulationError(description: "cancelled before seed \(seed)") }
            let outcome = try await run(seed: seed)
            guard outcome.isSound else { return outcome }
            progress(seed)
            guard seed < seeds.upperBound else { return outcome }
            seed += 1
        }
    }

    /// On the calling thread.
    private func runHere(
        _ simulation: Simulation,
        isShrinking: Bool
    ) throws(SimulationError) -> HandlerOutcome {
        let outcome = try play(simulation)
        guard isShrinking, !outcome.isSound, !simulation.faults.isEmpty else { return outcome }
        var smallest = outcome
        var runs = 1
        _ = simulation.shrunk { candidate in
            // The first question is whether the whole run fails, which is known.
            if candidate.faults.count == simulation.faults.count { return true }
            guard runs < 100, let next = try? play(candidate) else { return false }
            runs += 1
            guard next.fails(like: outcome) else { return false }
            smallest = next
            return true
        }
        smallest.runs = runs
        return smallest
    }

    private func play(_ simulation: Simulation) throws(SimulationError) -> HandlerOutcome {
        let planned = Simulation(seed: simulation.seed, scenario: simulation.scenario).faults.count
        let folder = try RunFolder(inMemory: true)
        let outcome = simulation.run(in: folder.path)
        return HandlerOutcome(
            seed: simulation.seed,
            faults: simulation.faults,
            plannedFaults: planned,
            checked: EffectCheck.check(outcome.history, expected: effects),
            outcome: outcome
        )
    }
}
