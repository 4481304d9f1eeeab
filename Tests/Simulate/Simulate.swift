import ArgumentParser
import RatchetTesting
import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Runs many seeds of the standard scenario, or one of them again, and shrinks the faults of one that fails.
@main
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "simulate")

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(help: "How many seeds, one after the other.") var seeds: UInt64 = 2_000
    @Option(help: "How many at once: each takes a thread.") var threads = 2
    @Option(help: "A folder for the runs' files, best in memory.") var directory: String?
    @Flag(help: "Tell of each run.") var verbose = false
    @Flag(help: "Tell all that happened in the run that fails.") var history = false

    func run() async throws {
        let folder = directory ?? (FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp")
        let root = "\(folder)/ratchet-simulate-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: root) }
        let start = ContinuousClock.now
        let work = Work(first: seed, count: seeds)
        await withTaskGroup { group in
            for _ in 0..<threads {
                group.addTask {
                    while let seed = work.next() {
                        work.note(seed, one(seed, root))
                    }
                }
            }
        }
        let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1000
        let failures = work.failures
        print("\(seeds) seeds in \(seconds) s, \(Int(Double(seeds) / seconds * 60)) a minute, \(failures.count) failed")
        let injected = SimulatedFault.Kind.allCases.map { "\($0.rawValue) \(work.injected[$0] ?? 0)" }
        print("injected: \(injected.joined(separator: ", "))")
        if failures.count > 1 { print("failed: \(failures.prefix(20).map { "\($0)" }.joined(separator: " "))") }
        if let first = failures.first {
            shrink(first, root)
            throw ExitCode(1)
        }
    }

    private func one(_ seed: UInt64, _ root: String) -> Simulation.Outcome {
        let simulation = Simulation(seed: seed)
        let outcome = Self.run(simulation, root)
        if verbose || !outcome.isSound {
            let time = outcome.time / .milliseconds(1)
            print(
                "seed \(seed): \(outcome.isSound ? "sound" : "FAILED"), digest \(outcome.digest), \(outcome.steps) steps, \(Int(time)) ms, \(simulation.faults.count) faults, \(outcome.report.counts.withEffect) with effect, \(outcome.report.counts.deadLettered) dead-lettered, \(outcome.report.counts.redelivered) redelivered, \(outcome.report.counts.skipped) skipped"
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
        let smallest = Simulation(seed: seed).shrunk { Self.run($0, root) }
        let outcome = Self.run(smallest, root)
        print("seed \(seed) fails with these faults alone:")
        for fault in smallest.faults { print("  \(fault)") }
        for problem in outcome.problems { print("  \(problem)") }
        print(outcome.report)
        if history { for index in outcome.history.events.indices { print(outcome.history.describe(index)) } }
        print("again: swift run -c release simulate --seed \(seed) --seeds 1 --verbose")
    }
}

/// The seeds that are left, and what came of the others.
private final class Work: Sendable {
    private struct State {
        var next: UInt64
        var end: UInt64
        var failed: [UInt64] = []
        var injected: [SimulatedFault.Kind: Int] = [:]
    }

    private let state: Mutex<State>

    init(first: UInt64, count: UInt64) { state = Mutex(State(next: first, end: first + count)) }

    var failures: [UInt64] { state.withLock { $0.failed.sorted() } }

    func next() -> UInt64? {
        state.withLock { state in
            guard state.next < state.end else { return nil }
            defer { state.next += 1 }
            return state.next
        }
    }

    func note(_ seed: UInt64, _ outcome: Simulation.Outcome) {
        state.withLock { state in
            if !outcome.isSound { state.failed.append(seed) }
            state.injected.merge(outcome.injected, uniquingKeysWith: +)
        }
    }

    /// How often faults took effect.
    var injected: [SimulatedFault.Kind: Int] { state.withLock { $0.injected } }
}
