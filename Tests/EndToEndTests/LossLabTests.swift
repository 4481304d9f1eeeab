import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension EndToEnd {
    @Suite(.serialized) struct LossLabTests {
        /// What one side of an experiment comes to.
        struct Cell: Decodable, Hashable, Sendable {
            var sent = messages
            var acknowledged = messages
            var effects = messages
            var lost = 0
            var twice = 0
            var unknown = 0
        }

        struct Row: Decodable, Hashable, Sendable {
            let experiment: String
            var leak = Cell()
            var cure = Cell()

            init(_ experiment: String, leak: Cell, cure: Cell = Cell()) {
                self.experiment = experiment
                self.leak = leak
                self.cure = cure
            }
        }

        private static let messages = 200

        private static let expected = [
            Row("no-confirm", leak: Cell(acknowledged: 0, effects: 100, lost: 100)),
            Row("transaction", leak: Cell(acknowledged: 0, effects: 100, lost: 100)),
            // Every tenth of 222 batches, of which 22 are sent again.
            Row("lost-answer", leak: Cell(effects: 222, twice: 22)),
            Row("no-retries", leak: Cell(acknowledged: 0, effects: 180, lost: 20), cure: Cell(acknowledged: 0)),
            Row("timed-out", leak: Cell(acknowledged: 180, effects: 190, unknown: 20)),
            Row("nack", leak: Cell(acknowledged: 100, effects: 100, lost: 100)),
            Row("transient-topic", leak: Cell(effects: 0, lost: 200)),
            Row("transient-messages", leak: Cell(effects: 0, lost: 200)),
            Row("early-confirm", leak: Cell(effects: 100, lost: 100)),
            Row("acks-none", leak: Cell(acknowledged: 0, effects: 100, lost: 100)),
            Row("acks-leader", leak: Cell(effects: 100, lost: 100)),
            Row("min-in-sync", leak: Cell(effects: 100, lost: 100)),
            Row("unclean-election", leak: Cell(effects: 100, lost: 100)),
            Row("replication-factor", leak: Cell(effects: 0, lost: 200)),
            Row("auto-ack", leak: Cell(effects: 180, lost: 20)),
            // At least once is what a commit after the work comes to.
            Row("commit-before-processing", leak: Cell(effects: 175, lost: 25), cure: Cell(effects: 225, twice: 25)),
            Row("no-deduplication", leak: Cell(effects: 270, twice: 70)),
        ]

        private let scratch: Scratch

        init() throws { scratch = try Scratch() }

        private func run(_ arguments: String...) async throws -> Outcome {
            try await Executable(arguments, of: "loss-lab", in: scratch).end()
        }

        @Test("Each leak of the loss lab leaks and each cure cures, to the message", .timeLimit(.minutes(30)))
        func leaksAndCures() async throws {
            let outcome = try await run("--json", "--messages", "\(Self.messages)")
            #expect(outcome.code == 0 && outcome.errors == "", "\(outcome.errors)")
            let found = try JSONDecoder().decode([Row].self, from: Data(outcome.output.utf8))
            #expect(found.map(\.experiment) == Self.expected.map(\.experiment))
            for (row, expected) in zip(found, Self.expected) { #expect(row == expected) }
        }

        @Test("The loss lab's table has a row for the leak and one for the cure, and the way there is told")
        func table() async throws {
            let outcome = try await run("--only", "no-retries", "--messages", "100")
            #expect(outcome.code == 0)
            let words = outcome.lines.map { $0.split(separator: " ").map(String.init) }
            #expect(words[0] == ["sent", "acknowledged", "unknown", "effects", "lost", "twice", "a", "second"])
            #expect(words[2].suffix(6) == ["100", "0", "0", "90", "10", "0"], "\(outcome.output)")
            #expect(words[3].suffix(6) == ["100", "0", "0", "100", "0", "0"], "\(outcome.output)")
            #expect(outcome.errorLines.count == 2 && outcome.errors.contains("[1/1] no-retries, leak"))
        }

        @Test("The loss lab refuses what it does not have")
        func refused() async throws {
            for arguments in [
                ["--only", "fire"], ["--messages", "99"], ["--messages", "10001"], ["act", "x", "leak"],
            ] {
                let outcome = try await Executable(arguments, of: "loss-lab", in: scratch).end()
                #expect(outcome.code == 64 && outcome.errors.contains("Error: "), "\(arguments)")
            }
        }

        @Test("The article about losses names every experiment")
        func article() throws {
            let article = try Article.lines(of: "Sources/RatchetBroker/RatchetBroker.docc/HowMessagesAreLost.md")
            let text = article.joined(separator: "\n")
            for row in Self.expected { #expect(text.contains("`\(row.experiment)`"), "\(row.experiment)") }
        }
    }
}
