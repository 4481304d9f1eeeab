import ArgumentParser
import RatchetTesting

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The program of the article "Prove your handler".
@main
struct ProveYourHandler: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prove-your-handler",
        abstract: "Runs a handler through crashes by seed: one that is caught, and one that passes.",
        subcommands: [Naive.self, Repaired.self]
    )
}

struct Naive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Charges cards outside of the ledger, lets processes die, and tells what happened."
    )

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(help: "How many seeds to try.") var seeds: UInt64 = 500

    func validate() throws { try check(seed, seeds) }

    func run() async throws {
        var billing = try Billing.naive()
        billing.faults = [.crashProcess]
        let outcome = try await billing.run(seeds: seed...(seed + seeds - 1))
        print(outcome.story)
        if outcome.isSound {
            print("not caught within \(seeds) seeds")
            throw ExitCode(1)
        }
        print("caught at seed \(outcome.seed), as it should be")
    }
}

struct Repaired: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Leaves the charge to onCommit and the outbox, and lets everything go wrong that can."
    )

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(help: "How many seeds to run.") var seeds: UInt64 = 10_000
    @Option(help: "How many at once, 1 to 64; of them as many run as there are processors.") var threads = 2

    func validate() throws {
        try check(seed, seeds)
        guard (1...64).contains(threads) else { throw ValidationError("--threads is 1 to 64, not \(threads)") }
    }

    func run() async throws {
        let billing = try Billing.repaired()
        let start = ContinuousClock.now
        let search = SeedSearch(seed...(seed + seeds - 1)) { count in
            print("\(count) of \(seeds) seeds passed")
            // Into a file or a pipe as well it is told when it happens.
            fflush(nil)
        }
        try await withThrowingTaskGroup { group in
            for _ in 0..<threads {
                group.addTask {
                    while let seed = search.next() { search.note(try await billing.run(seed: seed)) }
                }
            }
            try await group.waitForAll()
        }
        if let failed = search.failed {
            print(failed.story)
            throw ExitCode(1)
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print("\(seeds) seeds passed in \(Int(seconds.rounded())) s: \(search.deliveries) deliveries of which")
        print("\(search.redeliveries) came again, \(search.effects) charges, none lost and none twice")
    }
}

private func check(_ seed: UInt64, _ seeds: UInt64) throws {
    guard (1...1_000_000_000).contains(seeds), seed <= .max - seeds else {
        throw ValidationError("--seeds is 1 to 1,000,000,000, not \(seeds), and the last seed is below 2^64")
    }
}
