import Ratchet
import RatchetTesting
import Testing

extension EndToEnd {
    @Suite(.serialized) struct ProveYourHandlerTests {
        private struct Order: Codable, Sendable {
            var id: String
            var customer: String
            var cents: Int
        }

        private let scratch: Scratch

        init() throws { scratch = try Scratch() }

        private func run(_ arguments: String...) async throws -> Outcome {
            try await Executable(arguments, of: "prove-your-handler", in: scratch).end()
        }

        @Test("The naive handler is caught within 500 seeds, and its story tells who, what and why")
        func naive() async throws {
            let outcome = try await run("naive", "--seeds", "500")
            let story = outcome.output
            #expect(outcome.code == 0, "\(story)\(outcome.errors)")
            let message = try #require(story.firstMatch(of: /Twice: (o-[0-9]+) had "charge" 2 times/)?.1, "\(story)")
            let account = [
                "\(message): effect 1, \"charge\", outside", "the process of the pipelines dies",
                "the process of the pipelines comes back", "\(message) is delivered again",
                "\(message): effect 2, \"charge\", outside", "Why: \"charge\" happens outside of the ledger",
                "Again: seed ",
            ]
            var rest = story[...]
            for words in account {
                let place = try #require(rest.firstRange(of: words), "\(words), in:\n\(story)")
                rest = rest[place.upperBound...]
            }
        }

        @Test("The repaired handler passes, whatever goes wrong", .timeLimit(.minutes(30)))
        func repaired() async throws {
            let outcome = try await run("repaired", "--seeds", "150")
            #expect(outcome.code == 0, "\(outcome.output)\(outcome.errors)")
            #expect(outcome.output.contains("150 seeds passed in "), "\(outcome.output)")
        }

        @Test("Numbers that make no sense are refused")
        func refused() async throws {
            for arguments in [
                ["naive", "--seeds", "0"], ["repaired", "--threads", "0"], ["repaired", "--seed", "x"],
            ] {
                let outcome = try await Executable(arguments, of: "prove-your-handler", in: scratch).end()
                #expect(outcome.code == 64 && outcome.errors.contains("Error: "), "\(arguments)")
            }
        }

        @Test("The article's way to run many seeds")
        func manySeeds() async throws {
            let billing = SimulatedHandler(decoding: .raw) { _, context, world in
                try await world.call("charge", idempotencyKey: context.idempotencyKey)
                context.onCommit { try world.effect("booked", in: $0) }
            }
            let outcome = try await billing.run(seeds: 1...100)
            #expect(outcome.isSound, "\(outcome.story)")
        }

        @Test("The article's way to run one seed")
        func oneSeed() async throws {
            let outcome = try await withSimulatedPipeline(seed: 17, decoding: .raw) { message, context, world in
                try await world.call("mail", idempotencyKey: context.idempotencyKey)
            }
            #expect(outcome.isSound, "\(outcome.story)")
        }

        @Test("The example `orders` survives being killed, and each purchase counts once", .timeLimit(.minutes(30)))
        func killed() async throws {
            let state = scratch.path("state")
            let arguments = ["--generate", "3000", "--duplicates", "0.2", "--state", state, "--json"]
            var test = CrashTest(product: "orders", arguments: arguments)
            test.kills = 10
            let end = try await test.run { end in
                let report = try Report(lines: end.output.split(separator: "\n"))
                #expect(report.receipts == report.processed && report.deadLettered == 0, "seed \(end.seed)")
                #expect(report.processed == 3000, "seed \(end.seed)")
            }
            #expect(end.deaths.count == 10)
        }

        @Test("The README's handler is caught, as the README says")
        func readmeHandler() async throws {
            let orders = try (1...50).map { number in
                let order = Order(id: "o-\(number)", customer: "c-\(number % 5)", cents: 100 * number)
                return try SimulatedMessage(id: order.id, key: order.customer, json: order)
            }
            let billing = SimulatedHandler(
                messages: orders,
                decoding: .json(Order.self),
                identifiedBy: .field { $0.id }
            ) { order, context, world in
                try await world.call("charge")
            }
            let outcome = try await billing.run(seeds: 1...500)
            #expect(outcome.findings.contains { $0.kind == .duplicateEffect }, "\(outcome.story)")
            let program = Set(try Article.lines(of: "Tests/EndToEndTests/ProveYourHandlerTests.swift"))
            let code = try Article.code(of: "README.md", from: "## Prove your handler")
            for line in code { #expect(program.contains(line), "\(line)") }
            #expect(code.count > 10)
        }

        @Test("The article's code is code that is compiled")
        func articleCode() throws {
            let sources = [
                "Examples/ProveYourHandler/Billing.swift", "Examples/ProveYourHandler/ProveYourHandler.swift",
                "Tests/EndToEndTests/ProveYourHandlerTests.swift",
                "Tests/RatchetTestingTests/SimulatedHandlerTests.swift",
            ]
            let program = Set(try sources.flatMap { try Article.lines(of: $0) })
            let code = try Article.code(of: "Sources/RatchetTesting/RatchetTesting.docc/ProveYourHandler.md")
            for line in code { #expect(program.contains(line), "\(line)") }
            #expect(code.count > 25)
        }
    }
}
