import Purchases
import Seeds
import Testing

extension EndToEnd {
    @Test("Killed at 50 random moments, then run once more: every balance is right", .timeLimit(.minutes(30)))
    func killed() async throws {
        let kills = 50
        let seed = UInt64.random(in: 1...UInt64.max)
        print("killed: seed \(seed)")
        var generator = Seed(value: seed).random
        let scratch = try Scratch()
        let purchases = try Purchases.real(orMadeAt: scratch.path("purchases.ndjson"))
        let state = scratch.path("state")

        // How long a run takes on this machine today: the faults must come within it.
        let whole = try Report(
            try await Executable.run(
                "--input",
                purchases.path,
                "--state",
                scratch.path("other"),
                "--json",
                in: scratch
            )
        )
        #expect(whole.processed == purchases.count)

        var killed = 0
        var runs = 0
        while killed < kills {
            runs += 1
            try #require(runs < 3 * kills, "runs end before they can be killed; seed \(seed)")
            // Later and later, so that most of them strike where new effects happen.
            let latest = whole.seconds * Double(killed + 1) / Double(kills)
            let moment = Duration.seconds(Double.random(in: 0..<latest, using: &generator))
            let run = try Executable(
                ["--input", purchases.path, "--state", state, "--duplicates", "0.1", "--json"],
                in: scratch
            )
            // The fault itself: nothing is waited for but its moment.
            let clock = ContinuousClock()
            async let outcome = run.end()
            try await clock.sleep(for: moment)
            run.send(.kill)
            let end = try await outcome
            #expect(end.isKilled || end.code == 0, "\(end.errors); seed \(seed)")
            #expect(end.errors == "", "seed \(seed)")
            if end.isKilled { killed += 1 }
        }

        let report = try Report(
            try await Executable.run("--input", purchases.path, "--state", state, "--json", in: scratch)
        )
        #expect(report.processed == purchases.count, "seed \(seed)")
        #expect(report.receipts == purchases.count, "seed \(seed)")
        #expect(report.deadLettered == 0, "seed \(seed)")
        #expect(report.customers == purchases.customers && report.totalCents == purchases.totalCents, "seed \(seed)")
        #expect(report.published == report.processed + report.duplicates, "seed \(seed)")
        let balances = try await Executable.run("balances", "--state", state, in: scratch)
        #expect(balances.output == purchases.listing, "seed \(seed)")
    }
}
