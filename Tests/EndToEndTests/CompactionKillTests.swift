import Logging
import Ratchet
import RatchetBroker
import Testing

extension EndToEnd {
    @Suite(.serialized, .timeLimit(.minutes(30))) struct CompactionKillTests {
        /// As the program `compactor` has them.
        private static let keys = 20
        private static let rounds = 5
        private static let kills = 10
        private static let table = TopicPartition("table", 0)

        private let scratch: Scratch

        init() throws { scratch = try Scratch() }

        private func compact(_ nodes: Int, dyingBefore turn: Int, in folder: String = "broker") async throws -> Outcome
        {
            try await Executable([scratch.path(folder), "\(nodes)", "\(turn)"], of: "compactor", in: scratch).end()
        }

        @Test(
            "Killed between any two of its transactions, a compaction leaves the newest message of each key, and all else",
            arguments: [1, 3]
        )
        func killed(nodes: Int) async throws {
            let whole = try await compact(nodes, dyingBefore: 0, in: "whole")
            let turns = try #require(whole.lines.first.flatMap { Int($0) }, "\(whole.errors)")
            try #require(turns >= Self.kills, "\(turns) turns")
            for number in 0..<Self.kills {
                let turn = 1 + number * (turns - 1) / (Self.kills - 1)
                let run = try await compact(nodes, dyingBefore: turn)
                #expect(run.isKilled, "turn \(turn) of \(turns): \(run.errors)")
                try await check(nodes, runs: number + 1, "killed before turn \(turn)")
            }
            let end = try await compact(nodes, dyingBefore: 0)
            #expect(end.code == 0, "\(end.errors)")
            let left = try await check(nodes, runs: Self.kills + 1, "in the end")
            // The newest chunk takes no older message's place. Of several nodes, one may know less of what all have.
            if nodes == 1 { #expect(left == Self.keys + 1) }
        }

        /// Opens the broker, as the next process does. Returns how many messages its first leader has.
        @discardableResult
        private func check(_ nodes: Int, runs: Int, _ story: String) async throws -> Int {
            var configuration = Broker.Configuration()
            configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            configuration.nodes = nodes
            let broker = try await Broker(at: scratch.path("broker"), configuration: configuration)
            let sent = Int64(runs * Self.keys * Self.rounds)
            let count = try await check(broker, sent, story)
            // The one that takes over, too.
            if nodes > 1, let leader = try broker.describe("table").partitions[0].replication?.leader {
                await broker.nodes[leader].kill()
                while try broker.describe("table").partitions[0].replication?.leader == nil { await Task.yield() }
                try await check(broker, sent, "\(story), and node \(leader) was killed")
            }
            try await broker.close()
            return count
        }

        @discardableResult
        private func check(_ broker: Broker, _ sent: Int64, _ story: String) async throws -> Int {
            #expect(try broker.logEnds(of: "table") == [Self.table: sent], "\(story)")
            var (newest, count): ([String: Int64], Int) = ([:], 0)
            for try await batch in try broker.read(Self.table) {
                for index in 0..<batch.count {
                    let message = batch[index]
                    let (round, key) = message.offset.quotientAndRemainder(dividingBy: Int64(Self.keys))
                    #expect(message.key.map { String(decoding: $0, as: UTF8.self) } == "k\(key)", "\(story)")
                    #expect(String(decoding: message.payload, as: UTF8.self) == "\(round)", "\(story)")
                    newest["k\(key)"] = message.offset
                    count += 1
                }
            }
            for key in 0..<Int64(Self.keys) {
                #expect(newest["k\(key)"] == sent - Int64(Self.keys) + key, "\(story): the newest of k\(key)")
            }
            return count
        }
    }
}
