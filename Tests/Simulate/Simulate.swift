import ArgumentParser
import RatchetTesting

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Runs many seeds of the standard scenario, or one of them again, and shrinks the faults of one that fails.
@main
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "simulate")

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(help: "How many seeds, one after the other.") var seeds: UInt64 = 2_000
    @Option(help: "How many at once: each takes a thread.") var threads = 2
    @Option(help: "Only this kind of fault.", transform: kind) var only: SimulatedFault.Kind?
    @Option(help: "A folder for the runs' files, best in memory.") var directory: String?
    @Flag(help: "End with the first seed that fails.") var firstFailure = false
    @Flag(help: "Tell of each run.") var verbose = false
    @Flag(help: "Tell all that happened in the run that fails.") var history = false
    @Flag(help: "End with one line of JSON, the counts of each kind of fault; all else goes to standard error.")
    var json = false

    func validate() throws {
        guard (1...1_000_000_000).contains(seeds), seed <= .max - seeds else {
            throw ValidationError("--seeds is 1 to 1,000,000,000, not \(seeds), and the last seed is below 2^64")
        }
        guard (1...64).contains(threads) else { throw ValidationError("--threads is 1 to 64, not \(threads)") }
    }

    func run() async throws {
        let folder = directory ?? (FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp")
        let root = "\(folder)/ratchet-simulate-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: root) }
        let start = ContinuousClock.now
        let work = Work(first: seed, count: seeds, endsAtFailure: firstFailure)
        let lanes = SimulationThreads(atOnce: threads)
        await withTaskGroup { group in
            for _ in 0..<threads {
                group.addTask {
                    while let seed = work.next() { work.note(seed, await lanes.run { one(seed, root) }) }
                }
            }
        }
        work.finish()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let (failed, table) = (work.failed, work.table)
        let pace = Int(Double(work.done) / seconds * 60)
        tell("\(work.done) seeds in \(Int(seconds)) s, \(pace) a minute, \(failed.count) failed")
        for row in table.rows(of: kinds) { tell("  \(row.name): \(row.injected)") }
        if failed.count > 1 { tell("failed: \(failed.prefix(20).map { "\($0)" }.joined(separator: " "))") }
        if let first = failed.first { shrink(first, root) }
        if json { print(table.json(of: kinds, seeds: work.done)) }
        if !failed.isEmpty { throw ExitCode(1) }
    }

    private var kinds: [SimulatedFault.Kind] { only.map { [$0] } ?? SimulatedFault.Kind.allCases }

    private func simulation(_ seed: UInt64) -> Simulation {
        var scenario = Scenario.standard
        scenario.faultKinds = kinds
        return Simulation(seed: seed, scenario: scenario)
    }

    private func one(_ seed: UInt64, _ root: String) -> Simulation.Outcome {
        let simulation = simulation(seed)
        let outcome = Self.run(simulation, root)
        if verbose || !outcome.isSound {
            let (time, counts) = (outcome.time / .milliseconds(1), outcome.report.counts)
            tell(
                "seed \(seed): \(outcome.isSound ? "sound" : "FAILED"), digest \(outcome.digest), \(outcome.steps) steps, "
                    + "\(Int(time)) ms, \(simulation.faults.count) faults, \(counts.withEffect) with effect, "
                    + "\(counts.deadLettered) dead-lettered, \(counts.redelivered) redelivered, \(counts.skipped) skipped"
            )
        }
        return outcome
    }

    private static func run(_ simulation: Simulation, _ root: String) -> Simulation.Outcome {
        let folder = "\(root)/\(simulation.seed)"
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return simulation.run(in: folder)
    }

    /// Takes faults away as long as the run still fails, and tells what is left.
    private func shrink(_ seed: UInt64, _ root: String) {
        let smallest = simulation(seed).shrunk { Self.run($0, root) }
        let outcome = Self.run(smallest, root)
        tell("seed \(seed) fails with these faults alone:")
        for fault in smallest.faults { tell("  \(fault)") }
        let kinds = outcome.report.kinds.map { "\($0)" }
        tell("found: \((kinds + outcome.problems).joined(separator: "; "))")
        for problem in outcome.problems { tell("  \(problem)") }
        tell("\(outcome.report)")
        if history { for index in outcome.history.events.indices { tell(outcome.history.describe(index)) } }
        let same = only.map { " --only \($0.rawValue)" } ?? ""
        tell("again: Tests/simulate --seed \(seed) --seeds 1 --verbose\(same)")
    }

    private func tell(_ text: String) {
        if json { "\(text)\n".withCString { _ = write(STDERR_FILENO, $0, strlen($0)) } } else { print(text) }
    }
}

private func kind(_ name: String) throws -> SimulatedFault.Kind {
    if let kind = SimulatedFault.Kind(rawValue: name) { return kind }
    let names = SimulatedFault.Kind.allCases.map(\.rawValue).joined(separator: ", ")
    throw ValidationError("there is no fault '\(name)': it is one of \(names)")
}
