#if Kafka
    import Purchases
    import Ratchet
    import Seeds
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

    /// The example `orders` over Kafka, as a program of its own.
    @Suite struct KafkaOrdersTests {
        /// What `orders --json` prints.
        private struct Summary: Decodable {
            var published, processed, duplicates, redelivered, deadLettered, customers, totalCents, receipts: Int
        }

        /// One run of the program.
        private struct Run {
            let process: pid_t
            private let summary: String

            init(_ cluster: MockCluster, _ topic: String, in folder: String) throws {
                summary = "\(folder)/summary"
                process = try Shell.start(
                    "exec \(Shell.path(of: "orders")) --source kafka://\(cluster.process.server)/\(topic) "
                        + "--state \(folder)/state --json >\(summary) 2>\(folder)/errors"
                )
            }

            /// Whether it has, and nobody has waited for it.
            var hasEnded: Bool {
                var end = siginfo_t()
                waitid(P_PID, id_t(process), &end, WEXITED | WNOHANG | WNOWAIT)
                return end.si_signo != 0
            }

            func end() async throws -> Summary {
                let status = try await Shell.end(of: process)
                try #require(status == 0, "it ended with \(status)")
                return try JSONDecoder().decode(Summary.self, from: Data(contentsOf: URL(filePath: summary)))
            }
        }

        @Test(
            "What confluent-kafka has sent, 30 % of it twice, counts once, though consumers are killed and brokers go down",
            .timeLimit(.minutes(60)),
            arguments: Seed.some(1)
        )
        func killed(seed: Seed) async throws {
            // After each the group waits for the dead member's session, 45 s.
            let kills = ProcessInfo.processInfo.environment["RATCHET_KAFKA_KILLS"].flatMap { Int($0) } ?? 1
            var random = seed.random
            let cluster = try MockCluster()
            let topic = try await cluster.newTopic(partitions: 4)
            let folder = try Shell.newFolder()
            let purchases = try Purchases.real(orMadeAt: "\(folder)/purchases.ndjson")
            try await Shell.run(
                "\(Shell.producer) \(cluster.process.servers) \(topic) \(purchases.path) 0.3 \(seed.value) >\(folder)/sent"
            )
            for number in 0..<kills {
                let done = Self.done(in: folder)
                // It comes back while the new member joins.
                try cluster.process.tell("down \(number % 3 + 1)")
                let run = try Run(cluster, topic, in: folder)
                try await Task.sleep(for: .milliseconds(random.below(2_000)))
                try cluster.process.tell("up \(number % 3 + 1)")
                try await Self.progress(of: run, in: folder, beyond: done)
                try await Task.sleep(for: .milliseconds(random.below(10)))
                kill(run.process, SIGKILL)
                // It had not done all before.
                #expect(try await Shell.end(of: run.process) == SIGKILL, "\(seed)")
            }
            let run = try Run(cluster, topic, in: folder)
            try await Self.progress(of: run, in: folder, beyond: Self.done(in: folder))
            for broker in 1...3 {
                #expect(!run.hasEnded, "\(seed): all is done before broker \(broker) goes down")
                try cluster.process.tell("down \(broker)")
                try await Task.sleep(for: .milliseconds(100 + random.below(500)))
                try cluster.process.tell("up \(broker)")
            }
            let summary = try await run.end()
            print("\(seed): \(kills) kills, \(kills + 3) brokers down and up: \(summary)")
            let sent = try String(decoding: Data(contentsOf: URL(filePath: "\(folder)/sent")), as: UTF8.self)
            #expect(summary.published == Int(sent.prefix { $0 != "\n" }))
            #expect(summary.processed == purchases.count && summary.receipts == purchases.count)
            #expect(summary.published == summary.processed + summary.duplicates && summary.deadLettered == 0)
            #expect(summary.customers == purchases.customers && summary.totalCents == purchases.totalCents)
            try await Shell.run("test ! -s \(folder)/errors && rm -r \(folder)")
        }

        /// How many messages the ledger has dealt with, beside whoever writes it.
        private static func done(in folder: String) -> Int {
            // Not made yet.
            guard let reader = try? LedgerReader(at: "\(folder)/state/ledger") else { return 0 }
            defer { reader.close() }
            guard let totals = try? reader.totals() else { return 0 }
            return totals.processed + totals.duplicates
        }

        /// Waits until a run has dealt with more messages, or has ended.
        private static func progress(of run: Run, in folder: String, beyond done: Int) async throws {
            while Self.done(in: folder) == done, !run.hasEnded { try await Task.sleep(for: .milliseconds(2)) }
        }
    }
#endif
