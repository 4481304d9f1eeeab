import Seeds
import Testing

extension EndToEnd {
    /// What the program `shop` was told before it was killed holds.
    struct BrokerKillTests {
        private let scratch: Scratch
        private let folder: String

        init() throws {
            scratch = try Scratch()
            folder = try scratch.makeFolder("shop")
        }

        @Test(
            "Killed at 60 random moments: what was confirmed is there once, transactions whole, answers for good",
            .timeLimit(.minutes(30))
        )
        func killed() async throws {
            let kills = 60
            let seed = UInt64.random(in: 1...UInt64.max)
            print("shop: seed \(seed)")
            var generator = Seed(value: seed).random
            for _ in 0..<kills {
                let run = try Executable([folder, "1"], of: "shop", in: scratch)
                // The fault itself: nothing is waited for but its moment.
                let moment = Duration.seconds(Double.random(in: 0..<1.5, using: &generator))
                try await ContinuousClock().sleep(for: moment)
                run.send(.kill)
                let end = try await run.end()
                try #require(end.isKilled, "\(end.errors); seed \(seed)")
            }
            try await check(nodes: 1, mostly: kills / 4, "seed \(seed)")
        }

        @Test("With several nodes, killed at 6 random moments: the same, on each node", .timeLimit(.minutes(10)))
        func killedWithNodes() async throws {
            let seed = UInt64.random(in: 1...UInt64.max)
            print("shop: seed \(seed)")
            var generator = Seed(value: seed).random
            for _ in 0..<6 {
                let run = try Executable([folder, "3"], of: "shop", in: scratch)
                let moment = Duration.seconds(Double.random(in: 1..<4, using: &generator))
                try await ContinuousClock().sleep(for: moment)
                run.send(.kill)
                let end = try await run.end()
                try #require(end.isKilled, "\(end.errors); seed \(seed)")
            }
            // On a busy machine no life may have come far: then the last one has.
            try await check(nodes: 3, mostly: 0, "seed \(seed)")
        }

        /// Has the program do what is left, and another process look at what there is. Enough lives must have come far
        /// enough to be worth the kill.
        private func check(nodes: Int, mostly lives: Int, _ seed: String) async throws {
            for mode in nodes == 1 ? ["finish"] : ["once", "finish"] {
                let run = try await Executable([folder, "\(nodes)", mode], of: "shop", in: scratch).end()
                try #require(run.code == 0, "\(run.errors); \(seed)")
            }
            let found = try await Executable([folder, "\(nodes)", "verify"], of: "shop", in: scratch).end()
            let line = try #require(found.lines.last, "\(found.errors); \(seed)")
            let words = try #require(
                line.wholeMatch(of: /\{"lives":([0-9]+),"lost":0,"twice":0,"wrong":0\}/),
                "\(found.output); \(seed)"
            )
            let count = try #require(Int(words.1))
            #expect(count > lives, "\(line); \(seed)")
        }
    }
}
