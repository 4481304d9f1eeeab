import Purchases
import Testing

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

extension EndToEnd {
    @Suite(.serialized) struct OrdersTests {
        let scratch: Scratch
        let purchases: Purchases

        init() throws {
            scratch = try Scratch()
            purchases = try Purchases.real(orMadeAt: scratch.path("purchases.ndjson"))
        }

        @Test("Each purchase counts once; a second run with the same input has no new effect", .timeLimit(.minutes(30)))
        func runTwice() async throws {
            let state = scratch.path("state")
            let arguments = ["--input", purchases.path, "--state", state]
            let first = try Report(try await Executable(arguments + ["--json"], in: scratch).end())
            expectAll(first)
            #expect(first.published == purchases.count && first.duplicates == 0)
            #expect(try await balances(state) == purchases.listing)

            let second = try await Executable(arguments, in: scratch).end()
            #expect(second.code == 0)
            #expect(second.output.contains("0 new effects"))
            #expect(second.errors == "")
            let third = try Report(try await Executable(arguments + ["--json"], in: scratch).end())
            expectAll(third)
            #expect(third.published == 3 * purchases.count && third.duplicates == 2 * purchases.count)
            #expect(try await balances(state) == purchases.listing)
        }

        @Test("Purchases that come again under new offsets change nothing", .timeLimit(.minutes(30)))
        func duplicates() async throws {
            let state = scratch.path("state")
            let report = try Report(
                try await Executable.run(
                    "--input",
                    purchases.path,
                    "--state",
                    state,
                    "--duplicates",
                    "0.3",
                    "--json",
                    in: scratch
                )
            )
            expectAll(report)
            #expect(report.published == purchases.count + report.duplicates)
            // Ten standard deviations of a draw of so many.
            let expected = 0.3 * Double(purchases.count)
            #expect(abs(Double(report.duplicates) - expected) < 10 * (0.7 * expected).squareRoot())
            #expect(try await balances(state) == purchases.listing)
        }

        @Test("SIGTERM ends a run early and in good order; the next one finishes", .timeLimit(.minutes(30)))
        func terminate() async throws {
            let state = scratch.path("state")
            let pipe = try InputPipe()
            let run = try Executable(["--input", "-", "--state", state, "--json"], in: scratch, input: pipe.reader)
            try await pipe.writeHalf(of: purchases.path)
            // More is to come, so the run is under way; others may look at what it has done.
            #expect(try await Executable.run("dead-letters", "--state", state, in: scratch).code == 0)
            for (customer, cents) in try await partialBalances(state) {
                #expect(cents <= purchases.balances[customer] ?? 0)
            }
            run.send(.terminate)
            let outcome = try await run.end()
            #expect(outcome.code == 1)
            #expect(outcome.errorLines.count == 1 && outcome.errors.contains("interrupted"))
            let partial = try Report(lines: outcome.lines)
            #expect(partial.processed <= partial.published && partial.published <= purchases.count)
            #expect(partial.receipts == partial.processed)

            let report = try Report(
                try await Executable.run("--input", purchases.path, "--state", state, "--json", in: scratch)
            )
            expectAll(report)
            #expect(try await balances(state) == purchases.listing)
        }

        @Test("Without a state folder nothing is left behind, not even after SIGINT", .timeLimit(.minutes(30)))
        func temporaryFolder() async throws {
            let environment = ["TMPDIR=\(try scratch.makeFolder("temporary"))"]
            let whole = try await Executable.run("--generate", "1000", "--json", in: scratch, environment: environment)
            #expect(try Report(whole).receipts == 1000)
            #expect(try scratch.names(in: "temporary") == [])

            let pipe = try InputPipe()
            let run = try Executable(["--input", "-"], in: scratch, input: pipe.reader, environment: environment)
            try await pipe.writeHalf(of: purchases.path)
            #expect(try scratch.names(in: "temporary").count == 1)
            run.send(.interrupt)
            #expect(try await run.end().code == 1)
            #expect(try scratch.names(in: "temporary") == [])
        }

        @Test("The same seed makes the same purchases", .timeLimit(.minutes(30)))
        func seeds() async throws {
            let state = scratch.path("state")
            for (seed, processed) in [("7", 5000), ("7", 5000), ("8", 10_000)] {
                let outcome = try await Executable.run(
                    "--generate",
                    "5000",
                    "--seed",
                    seed,
                    "--state",
                    state,
                    "--json",
                    in: scratch
                )
                let report = try Report(outcome)
                #expect(report.processed == processed && report.receipts == processed && report.deadLettered == 0)
            }
        }

        private func expectAll(_ report: Report, sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(report.processed == purchases.count, sourceLocation: sourceLocation)
            #expect(report.receipts == purchases.count, sourceLocation: sourceLocation)
            #expect(report.customers == purchases.customers, sourceLocation: sourceLocation)
            #expect(report.totalCents == purchases.totalCents, sourceLocation: sourceLocation)
            #expect(report.deadLettered == 0, sourceLocation: sourceLocation)
            #expect(report.published == report.processed + report.duplicates, sourceLocation: sourceLocation)
        }

        private func balances(_ state: String) async throws -> String {
            let outcome = try await Executable.run("balances", "--state", state, in: scratch)
            #expect(outcome.code == 0)
            return outcome.output
        }

        private func partialBalances(_ state: String) async throws -> [(String, Int)] {
            try await balances(state).split(separator: "\n").map { line in
                let fields = line.split(separator: "\t")
                return (String(fields[0]), try #require(Int(fields[1])))
            }
        }
    }
}
