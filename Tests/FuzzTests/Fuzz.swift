import Seeds

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
    private static let seconds = getenv("RATCHET_FUZZ_SECONDS").flatMap { Int(String(cString: $0)) }

    /// Runs `rounds` rounds; then, while there is time, as many of the next seed. Each seed is printed before its
    /// rounds: a trap leaves nothing else behind.
    static func run(
        _ name: String,
        _ seed: Seed,
        rounds: Int,
        _ round: (inout SeededRandom) async throws -> Void
    ) async throws {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds ?? 0)
        var seed = seed
        repeat {
            print("fuzz \(name): RATCHET_SEED=\(seed.value)")
            fflush(nil)
            var random = seed.random
            for _ in 0..<rounds { try await round(&random) }
            seed = Seed(value: seed.value + 1)
        } while clock.now < end
    }
}
