import Testing

extension EndToEnd {
    @Suite(.serialized, .timeLimit(.minutes(30))) struct CompactionKillTests {
        /// As the program `compactor` has them.
        private static let keys = 20
        private static let kills = 10

        private let scratch: Scratch

        init() throws { scratch = try Scratch() }

        private func run(_ words: String..., in folder: String = "broker") async throws -> Outcome {
            try await Executable([scratch.path(folder)] + words, of: "compactor", in: scratch).end()
        }

        @Test(
            "Killed between any two of its transactions, a compaction leaves the newest message of each key, and all else",
            arguments: [1, 3]
        )
        func killed(nodes: Int) async throws {
            let whole = try await run("\(nodes)", "0", in: "whole")
            let turns = try #require(whole.lines.first.flatMap { Int($0) }, "\(whole.errors)")
            try #require(turns >= Self.kills, "\(turns) turns")
            for number in 0..<Self.kills {
                let turn = 1 + number * (turns - 1) / (Self.kills - 1)
                let death = try await run("\(nodes)", "\(turn)")
                #expect(death.isKilled, "turn \(turn) of \(turns): \(death.errors)")
                try await check(nodes, lives: number + 1, "killed before turn \(turn)")
            }
            let end = try await run("\(nodes)", "0")
            #expect(end.code == 0, "\(end.errors)")
            let left = try await check(nodes, lives: Self.kills + 1, "in the end")
            // The newest chunk takes no older message's place. Of several nodes, one may know less of what all have.
            if nodes == 1 { #expect(left == Self.keys + 1) }
        }

        /// Has another process look at what is there. Returns how many messages the first leader has.
        @discardableResult
        private func check(_ nodes: Int, lives: Int, _ story: String) async throws -> Int {
            let found = try await run("\(nodes)", "verify", "\(lives)")
            let line = try #require(found.lines.last, "\(story): \(found.errors)")
            let words = try #require(line.wholeMatch(of: /\{"messages":([0-9]+),"lost":([0-9]+),"twice":([0-9]+)\}/))
            #expect(words.2 == "0" && words.3 == "0", "\(story): \(line)")
            return try #require(Int(words.1))
        }
    }
}
