import Seeds
import Synchronization
import Testing

@testable import RatchetTesting

@Suite("Simulation: the standard scenario", .timeLimit(.minutes(30)))
struct SimulationTests {
    private static func run(_ simulation: Simulation) throws -> Simulation.Outcome {
        let scratch = try Scratch()
        return simulation.run(in: scratch.folder)
    }

    @Test("Whatever goes wrong, nothing is lost, nothing happens twice, and all comes to rest", arguments: 1...100)
    func sound(seed: UInt64) throws {
        let outcome = try Self.run(Simulation(seed: seed))
        #expect(outcome.isSound, "Tests/simulate --seed \(seed) --seeds 1: \(outcome.problems) \(outcome.report)")
        let sent = Scenario.standard.producers * Scenario.standard.messages
        #expect(outcome.report.counts.sentOK + outcome.report.counts.sentUnknown == sent)
    }

    @Test("The same seed is the same run, another one another", arguments: 1...5)
    func deterministic(seed: UInt64) throws {
        let (first, second) = (try Self.run(Simulation(seed: seed)), try Self.run(Simulation(seed: seed)))
        #expect(first.digest == second.digest)
        #expect(first.steps == second.steps)
        #expect(first.history.events == second.history.events)
        #expect(try Self.run(Simulation(seed: seed + 100)).digest != first.digest)
    }

    @Test("A kind of fault that a scenario names takes effect, no other does", arguments: SimulatedFault.Kind.allCases)
    func injected(kind: SimulatedFault.Kind) throws {
        var scenario = Scenario.standard
        scenario.faultKinds = [kind]
        var count = 0
        for seed in 1...8 as ClosedRange<UInt64> {
            let outcome = try Self.run(Simulation(seed: seed, scenario: scenario))
            #expect(outcome.isSound, "seed \(seed): \(outcome.problems) \(outcome.report)")
            #expect(outcome.injected.allSatisfy { $0.key == kind && $0.value > 0 })
            count += outcome.injected[kind] ?? 0
        }
        #expect(count > 0)
    }

    @Test("A crash of what is down already does not count")
    func crashesOfWhatIsDown() throws {
        var simulation = Simulation(seed: 1)
        simulation.faults = [1_000, 1_500, 2_000].map { time in
            SimulatedFault(kind: .crashProcess, time: time, duration: 3_000, member: 0)
        }
        #expect(try Self.run(simulation).injected == [.crashProcess: 1])
    }

    @Test(
        "A commit of the ledger fails, having reached the file or not: its pipelines end, and the next process goes on",
        arguments: [2_000, 2_001],
        1...4
    )
    func failingCommits(time: Int, seed: UInt64) throws {
        var simulation = Simulation(seed: seed)
        simulation.faults = [2, 4, 6].map { number in
            SimulatedFault(kind: .failLedgerCommit, time: number / 2 * time, duration: 1_500, member: 0)
        }
        let outcome = try Self.run(simulation)
        #expect(outcome.isSound, "seed \(seed): \(outcome.problems) \(outcome.report)")
        #expect(outcome.injected[.failLedgerCommit] ?? 0 > 0)
    }

    @Test("Seeds that were noted before commits of the ledger failed have their old schedules")
    func oldSchedules() {
        for seed in [3591, 5769, 7406, 7941, 8172] as [UInt64] {
            #expect(!Simulation(seed: seed).faults.contains { $0.kind == .failLedgerCommit }, "seed \(seed)")
        }
    }

    @Test("A pipeline with nothing to do ends all the same when another one's write has failed")
    func failsBesideAnIdleOne() throws {
        let outcome = try Self.run(Simulation(seed: 3552))
        #expect(outcome.isSound, "Tests/simulate --seed 3552 --seeds 1: \(outcome.problems) \(outcome.report)")
    }

    @Test(
        "A member that leaves while its ledger fails, and a commit that comes by its second packet alone, are no findings",
        arguments: [6947, 7620]
    )
    func noFindings(seed: UInt64) throws {
        let outcome = try Self.run(Simulation(seed: seed))
        #expect(outcome.isSound, "Tests/simulate --seed \(seed) --seeds 1: \(outcome.problems) \(outcome.report)")
    }

    @Test("A handler that has its effect twice is found")
    func doctored() throws {
        var scenario = Scenario.standard
        let effects = scenario.effects
        scenario.effects = { reader in
            let all = try effects(reader)
            // As if the third message of a producer had its effect once more.
            return all
                + all.filter { $0.message == "p0-3" }.map { effect in
                    SimulatedEffect(
                        message: effect.message,
                        partition: effect.partition,
                        offset: effect.offset,
                        generation: effect.generation,
                        number: effect.number + 1
                    )
                }
        }
        let outcome = try Self.run(Simulation(seed: 1, scenario: scenario))
        #expect(outcome.report.kinds == [.duplicateEffect])
    }

    @Test("An operator whose broker dies while it deletes a topic makes it anew all the same", arguments: [3591, 5769])
    func diesWhileDeleting(seed: UInt64) throws {
        let outcome = try Self.run(Simulation(seed: seed))
        #expect(outcome.isSound, "Tests/simulate --seed \(seed) --seeds 1: \(outcome.problems) \(outcome.report)")
    }

    @Test(
        "A process that dies while it has a partition processed again, or its topic deleted, loses and repeats nothing",
        arguments: [7406, 7941, 8172]
    )
    func diesWhileReprocessing(seed: UInt64) throws {
        let outcome = try Self.run(Simulation(seed: seed))
        #expect(outcome.isSound, "Tests/simulate --seed \(seed) --seeds 1: \(outcome.problems) \(outcome.report)")
    }

    @Test("What is processed again of a topic made anew may have been done in the one before it under its name")
    func reprocessedAnew() throws {
        let outcome = try Self.run(Simulation(seed: 20_098))
        #expect(outcome.isSound, "Tests/simulate --seed 20098 --seeds 1: \(outcome.problems) \(outcome.report)")
    }

    @Test("An effect that the ledger tells of and then no more is found")
    func vanished() throws {
        var scenario = Scenario.standard
        let effects = scenario.effects
        let isTold = Mutex(false)
        scenario.effects = { reader in
            let all = try effects(reader)
            guard let first = all.first(where: { $0.message == "p0-3" }) else { return all }
            let wasTold = isTold.withLock { isTold in
                defer { isTold = true }
                return isTold
            }
            return wasTold ? all.filter { $0 != first } : all
        }
        let outcome = try Self.run(Simulation(seed: 1, scenario: scenario))
        #expect(outcome.report.isSound)
        #expect(outcome.problems == ["effects that are not in the ledger any more: [\"p0-3\"]"])
    }

    @Test("Of the faults of a run that fails only those are left that make it fail")
    func shrinking() throws {
        let simulation = Simulation(seed: 2)
        try #require(simulation.faults.count >= 3)
        let guilty = simulation.faults[1]
        let (sound, failed) = (try Self.run(Simulation(seed: 1)), try Self.failing())
        let shrunk = simulation.shrunk { $0.faults.contains(guilty) ? failed : sound }
        #expect(shrunk.faults == [guilty])
    }

    /// The outcome of a run that has no time to come to rest.
    private static func failing() throws -> Simulation.Outcome {
        var scenario = Scenario.standard
        scenario.maximumSteps = 50
        let outcome = try run(Simulation(seed: 1, scenario: scenario))
        #expect(!outcome.isSound)
        return outcome
    }
}
