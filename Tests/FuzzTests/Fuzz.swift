import Seeds
import Synchronization
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Repeats one round of a test with numbers that follow from a seed.
enum Fuzz {
    /// The seconds for each test, nil for one seed's rounds and no more.
    private static let seconds = text("RATCHET_FUZZ_SECONDS").flatMap { Int($0) }
    /// The one decoder that is asked for.
    private static let only = text("RATCHET_FUZZ_ONLY").flatMap { $0.isEmpty ? nil : $0 }

    /// The rounds of one test in which something was found.
    final class Findings: Sendable {
        private let state = Mutex((count: 0, isNew: true))

        func nextRound() { state.withLock { $0.isNew = true } }

        func note() {
            state.withLock { state in
                if state.isNew { state.count += 1 }
                state.isNew = false
            }
        }

        var count: Int { state.withLock { $0.count } }
    }

    @TaskLocal fileprivate static var findings: Findings?

    /// Runs `rounds` rounds; then, while there is time, as many of the next seed. Each seed is printed before its
    /// rounds: a trap leaves nothing else behind. `name` is the decoder's, which gets a damaged input in each round.
    static func run(
        _ name: String,
        _ seed: Seed,
        rounds: Int,
        _ round: (inout SeededRandom) async throws -> Void
    ) async throws {
        guard only == nil || only == name else { return }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds ?? 0)
        var seed = seed
        repeat {
            print("fuzz \(name): RATCHET_SEED=\(seed.value)")
            fflush(nil)
            try await once(name, seed, rounds, round)
            seed = Seed(value: seed.value + 1)
        } while clock.now < end
    }

    /// The rounds of one seed, reported before and after.
    private static func once(
        _ name: String,
        _ seed: Seed,
        _ rounds: Int,
        _ round: (inout SeededRandom) async throws -> Void
    ) async throws {
        let findings = Findings()
        var random = seed.random
        var done = 0
        report("begin \(name)")
        defer { report("end \(name) \(done) \(findings.count)") }
        try await $findings.withValue(findings) {
            for _ in 0..<rounds {
                findings.nextRound()
                done += 1
                do { try await round(&random) } catch {
                    findings.note()
                    throw error
                }
            }
        }
    }

    /// A line in the file that `RATCHET_FUZZ_REPORT` names: what has begun and not ended is where the process died.
    private static func report(_ line: String) {
        guard let path = text("RATCHET_FUZZ_REPORT"), let file = fopen(path, "a") else { return }
        fputs("\(line)\n", file)
        fclose(file)
    }

    private static func text(_ variable: String) -> String? { getenv(variable).map { String(cString: $0) } }
}

extension Trait where Self == IssueHandlingTrait {
    /// What the rounds of the suite's tests find is counted.
    static var fuzzing: Self {
        .compactMapIssues { issue in
            Fuzz.findings?.note()
            return issue
        }
    }
}
