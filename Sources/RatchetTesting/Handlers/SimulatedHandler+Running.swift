extension SimulatedHandler {
    /// Runs one seed, on the calling thread: some milliseconds. The same seed is the same run, in every process and on
    /// every machine.
    ///
    /// If it fails it is run again with fewer faults, up to a hundred times, and the outcome is that of the smallest run
    /// that fails in the same way; `isShrinking` false leaves that out.
    ///
    /// Throws ``SimulationError`` when there is no place for the run's files. They are in memory where the system has
    /// such a place, and are gone afterwards.
    public func run(seed: UInt64, isShrinking: Bool = true) throws(SimulationError) -> HandlerOutcome {
        let simulation = Simulation(seed: seed, scenario: scenario)
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

    /// Runs one seed with these faults and no others, such as those of an ``HandlerOutcome/faults``.
    public func run(seed: UInt64, with faults: [SimulatedFault]) throws(SimulationError) -> HandlerOutcome {
        var simulation = Simulation(seed: seed, scenario: scenario)
        simulation.faults = faults
        return try play(simulation)
    }

    /// Runs seed after seed, until one fails: the outcome is that one's, shrunk, or the last one's. `progress` is called
    /// after each seed that was sound.
    public func run(
        seeds: ClosedRange<UInt64>,
        progress: (UInt64) -> Void = { _ in }
    ) throws(SimulationError) -> HandlerOutcome {
        var seed = seeds.lowerBound
        while true {
            let outcome = try run(seed: seed)
            guard outcome.isSound else { return outcome }
            progress(seed)
            guard seed < seeds.upperBound else { return outcome }
            seed += 1
        }
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
