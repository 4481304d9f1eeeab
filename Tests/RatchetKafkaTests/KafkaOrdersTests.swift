#if Kafka
    import Ratchet
    import Testing

    /// The example `orders` over Kafka, as a program of its own.
    @Suite(.timeLimit(.minutes(30))) struct KafkaOrdersTests {
        @Test(
            "Orders that kcat has sent, some of them twice, count once each, though the program was killed on the way"
        )
        func killed() async throws {
            let cluster = try MockCluster(brokers: 1)
            let topic = try await cluster.newTopic(partitions: 4)
            let folder = "/tmp/ratchet-kafka-orders-\(UInt64.random(in: .min ... .max))"
            let tests = CommandLine.arguments[0]
            let program = (tests.lastIndex(of: "/").map { String(tests[...$0]) } ?? "./") + "orders"
            let run = "\(program) --source kafka://\(cluster.process.servers)/\(topic) --state \(folder)/state --json"
            let lines = (1...600).flatMap { number in
                let line =
                    #"{"id":"o-\#(number)","customer":"c-\#(number % 50)","date":"2026-01-01","quantity":1,"cents":\#(number)}"#
                return number.isMultiple(of: 3) ? [line, line] : [line]
            }
            try await Shell.run(
                """
                set -e
                mkdir \(folder)
                kcat -P -b \(cluster.process.servers) -t \(topic) 2>/dev/null <<'END'
                \(lines.joined(separator: "\n"))
                END
                timeout -s KILL 4 \(run) >/dev/null 2>&1 || true
                \(run) >\(folder)/summary 2>\(folder)/errors
                test ! -s \(folder)/errors
                grep '"published":800,"processed":600,"duplicates":200,' \(folder)/summary >/dev/null
                grep '"customers":50,"totalCents":180300,"receipts":600,' \(folder)/summary >/dev/null
                rm -r \(folder)
                """
            )
        }
    }
#endif
