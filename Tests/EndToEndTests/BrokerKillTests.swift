import Logging
import Ratchet
import RatchetBroker
import Seeds
import Testing

extension EndToEnd {
    /// What the program `shop` was told before it was killed holds.
    struct BrokerKillTests {
        /// All that was written down, and all that the broker holds in the end.
        private struct Findings {
            var books: [[String]] = []
            var logs: [String: [String]] = [:]
            var committed: Int64 = 0

            func ids(_ word: String) -> [String] { books.filter { $0[0] == word }.map { $0[1] } }
            func log(_ topic: String) -> [String] { logs[topic] ?? [] }
        }

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
                let run = try Executable([folder], of: "shop", in: scratch)
                // The fault itself: nothing is waited for but its moment.
                let moment = Duration.seconds(Double.random(in: 0..<1.5, using: &generator))
                try await ContinuousClock().sleep(for: moment)
                run.send(.kill)
                let end = try await run.end()
                try #require(end.isKilled, "\(end.errors); seed \(seed)")
            }
            let last = try Executable([folder, "finish"], of: "shop", in: scratch)
            let end = try await last.end()
            try #require(end.code == 0, "\(end.errors); seed \(seed)")

            let findings = try await findings()
            // Enough lives came far enough to be worth the kill.
            #expect(Set(findings.books.filter { $0[0] == "got" }.map { $0[4] }).count > kills / 4, "seed \(seed)")
            checkSending(findings, seed)
            checkTransactions(findings, seed)
            checkAnswers(findings, seed)
            checkDeadLetters(findings, lastLife: "\(last.process)", seed)
        }

        private func findings() async throws -> Findings {
            var configuration = Broker.Configuration()
            configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let broker = try await Broker(at: folder + "/broker", configuration: configuration)
            var findings = Findings()
            findings.books = try scratch.read("shop/books").split(separator: "\n").map { line in
                line.split(separator: " ").map(String.init)
            }
            for topic in broker.topics() {
                for partition in try broker.describe(topic).partitions {
                    for try await batch in try broker.read(partition.partition) {
                        findings.logs[topic, default: []] += (0..<batch.count).map { batch[$0].text }
                    }
                }
            }
            findings.committed = try broker.offsets(group: "billing").values.reduce(0) { $0 + $1.offset }
            try await broker.close()
            return findings
        }

        /// Those that are there more than once, in order.
        private func repeats(_ ids: [String]) -> [String] {
            var seen: Set<String> = []
            return ids.filter { !seen.insert($0).inserted }
        }

        /// What an idempotent producer was told is there, and nothing is there twice, though answers were lost.
        private func checkSending(_ findings: Findings, _ seed: UInt64) {
            let sent = findings.ids("sent")
            let all = findings.log("plain") + findings.log("orders") + findings.log("jobs")
            let lost = Set(sent).subtracting(all).sorted()
            #expect(lost == [], "seed \(seed)")
            #expect(repeats(sent) == [] && repeats(all) == [], "seed \(seed)")
        }

        /// Each order is passed on once, to both topics, with its offset.
        private func checkTransactions(_ findings: Findings, _ seed: UInt64) {
            let orders = findings.log("orders")
            for topic in ["receipts", "journal"] {
                let found = findings.log(topic)
                // Told by its place: as a difference of lists it would take minutes.
                let wrong = zip(orders, found).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                #expect(wrong == nil && found.count == orders.count, "\(topic); seed \(seed)")
            }
            #expect(findings.committed == Int64(orders.count), "seed \(seed)")
            let billed = findings.ids("billed")
            let unbilled = Set(billed).subtracting(orders).sorted()
            #expect(repeats(billed) == [] && unbilled == [], "seed \(seed)")
        }

        /// What was answered for good never comes again, and what comes again says so and counts.
        private func checkAnswers(_ findings: Findings, _ seed: UInt64) {
            var settled: Set<String> = []
            var seen: [String: (count: Int, life: String)] = [:]
            for line in findings.books {
                let id = line[1]
                switch line[0] {
                case "acked", "rejected": #expect(settled.insert(id).inserted, "\(id) answered twice; seed \(seed)")
                case "got":
                    let (count, isAgain, life) = (Int(line[2]) ?? 0, line[3] == "again", line[4])
                    #expect(!settled.contains(id), "\(id) came after its answer; seed \(seed)")
                    if let before = seen[id] {
                        #expect(isAgain, "\(id) came again as if for the first time; seed \(seed)")
                        // Only a crash may forget deliveries that nobody had answered.
                        if before.life == life { #expect(count == before.count + 1, "\(id); seed \(seed)") }
                    }
                    #expect(isAgain || count == 1, "\(id), count \(count); seed \(seed)")
                    #expect(1...4 ~= count, "\(id), count \(count); seed \(seed)")
                    seen[id] = (count, life)
                default: break
                }
            }
        }

        /// Each job is done or a dead letter, once; of those that were on their way in a kill either may be so.
        private func checkDeadLetters(_ findings: Findings, lastLife: String, _ seed: UInt64) {
            let dead = findings.log("dead")
            #expect(repeats(dead) == [], "seed \(seed)")
            let (acked, rejected) = (Set(findings.ids("acked")), Set(findings.ids("rejected")))
            #expect(acked.isDisjoint(with: dead) && rejected.isSubset(of: dead), "seed \(seed)")
            var lives: [String: String] = [:]
            for line in findings.books where line[0] == "got" { lives[line[1]] = line[4] }
            for id in findings.log("jobs") where id != "end" {
                let isNeverDone = (Int(id.dropFirst(2)) ?? 9) % 10 <= 1
                #expect(!isNeverDone || dead.contains(id), "\(id) is no dead letter; seed \(seed)")
                // Acked, and killed before it was told.
                let isUntold = !isNeverDone && lives[id].map { $0 != lastLife } ?? false
                #expect(dead.contains(id) || acked.contains(id) || isUntold, "\(id) is lost; seed \(seed)")
            }
            #expect(Set(dead).isSubset(of: findings.log("jobs")), "seed \(seed)")
        }
    }
}
