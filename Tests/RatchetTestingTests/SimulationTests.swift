import Testing

@testable import RatchetTesting

@Suite("Simulation: the standard scenario", .timeLimit(.minutes(5)))
struct SimulationTests {
    private static func run(_ seed: UInt64) throws -> Simulation.Outcome {
        let scratch = try Scratch()
        return Simulation(seed: seed).run(in: scratch.folder)
    }

    @Test("Whatever goes wrong, nothing is lost, nothing happens twice, and all comes to rest", arguments: 1...20)
    func sound(seed: UInt64) throws {
        let outcome = try Self.run(seed)
        #expect(outcome.isSound, "seed \(seed): \(outcome.problems) \(outcome.report)")
    }

    @Test("The same seed is the same run")
    func deterministic() throws {
        let (first, second) = (try Self.run(5), try Self.run(5))
        #expect(first.digest == second.digest)
        #expect(first.steps == second.steps)
        #expect(first.history.events == second.history.events)
    }
}
