#if RabbitMQ
    import FoundationEssentials
    import Purchases
    import Ratchet
    import Seeds
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// The example `orders` over a real queue, as a program of its own.
        @Suite struct OrdersTests {
            /// What `orders --json` prints.
            private struct Report: Decodable {
                let published, processed, duplicates, deadLettered, customers, totalCents, receipts: Int

                init(_ end: ExampleProgram.End) throws {
                    self = try JSONDecoder().decode(Report.self, from: Data(end.output.utf8))
                }
            }

            private static func arguments(_ queue: String, _ server: RabbitMQServer, _ state: String) -> [String] {
                ["--source", "\(server.url)/%2F/\(queue)", "--state", state, "--json"]
            }

            /// What the ledger of a run, which may be running, has settled.
            private static func settled(_ state: String) throws -> Int {
                guard FileManager.default.fileExists(atPath: "\(state)/ledger") else { return 0 }
                let reader = try LedgerReader(at: "\(state)/ledger")
                defer { reader.close() }
                let totals = try reader.totals()
                return totals.processed + totals.duplicates
            }

            /// Waits until so much is settled, or the run is over: a process tells nobody how far it is.
            private static func reach(_ count: Int, _ state: String, _ run: ExampleProgram) async throws {
                while !run.isOver, try settled(state) < count {
                    _ = await Latch().wait(atMost: .milliseconds(20), clock: ContinuousClock())
                    try Task.checkCancellation()
                }
            }

            /// Some of them twice, the second time behind the others.
            private static func messages(
                _ lines: [[UInt8]],
                to queue: String,
                _ random: inout SeededRandom
            ) -> [OutgoingMessage] {
                let again = lines.filter { _ in random.chance(30) }
                return (lines + again).map { OutgoingMessage(to: queue, key: nil as [UInt8]?, payload: $0) }
            }

            /// `RATCHET_RABBITMQ_KILLS` kills of the consumer and as many of the server: three unless it says more.
            @Test(
                "Purchases of a shop, 30 % of them twice, kills of the consumer and of the server: each counts once",
                arguments: Seed.some(1)
            )
            func killed(_ seed: Seed) async throws {
                let kills = ProcessInfo.processInfo.environment["RATCHET_RABBITMQ_KILLS"].flatMap { Int($0) } ?? 3
                var random = seed.random
                let (server, queue) = (try await RabbitMQServer.running(), "purchases")
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue))
                try await topology.declare(at: try server.address, configuration: .quick)
                try await server.keepDeclarations()
                let producer = try RabbitMQSink(at: try server.address, configuration: .quick)
                let purchases = try Purchases.real(orMadeAt: "\(server.folder)/purchases")
                let all = try Data(contentsOf: URL(filePath: purchases.path)).split(separator: UInt8(ascii: "\n"))
                let state = "\(server.folder)/orders"
                let share = (all.count + kills - 1) / kills
                var sent = 0
                for round in 0..<kills {
                    let lines = all.dropFirst(round * share).prefix(share).map { Array($0) }
                    let messages = Self.messages(lines, to: queue, &random)
                    let before = try Self.settled(state)
                    sent += messages.count
                    async let sending: Void = QueueBench.sendAll(messages, producer)
                    let file = "\(server.folder)/orders-\(round)"
                    var run = try ExampleProgram("orders", Self.arguments(queue, server, state), writingTo: file)
                    try await Self.reach(before + random.below(share / 2), state, run)
                    try await server.crash()
                    try await sending
                    let target = before + share / 2 + random.below(share / 4)
                    while true {
                        // In the middle of what is left.
                        try await Self.reach(target, state, run)
                        run.kill()
                        let end = try await run.end()
                        guard end.code != nil else { break }
                        // For some seconds after the crash the server says that the queue is empty: a run ends early then.
                        try #require(end.code == 0 || end.errors.contains("run it again"), "\(seed): \(end.errors)")
                        run = try ExampleProgram("orders", Self.arguments(queue, server, state), writingTo: file)
                    }
                }
                await producer.close()
                let report = try await Self.finish(queue, server, state)
                print("orders killed: \(report), \(sent) sent, \(kills) kills of it and \(kills) of the server")
                #expect(
                    report.processed == purchases.count && report.receipts == purchases.count,
                    "\(seed)"
                )
                #expect(report.customers == purchases.customers && report.totalCents == purchases.totalCents)
                #expect(report.deadLettered == 0 && report.duplicates >= sent - purchases.count, "\(seed)")
                let balances = try await ExampleProgram(
                    "orders",
                    ["balances", "--state", state],
                    writingTo: "\(server.folder)/balances"
                ).end()
                #expect(balances.output == purchases.listing, "\(seed)")
            }

            /// Runs it until it says that all is done.
            private static func finish(
                _ queue: String,
                _ server: RabbitMQServer,
                _ state: String
            ) async throws -> Report {
                while true {
                    let file = "\(server.folder)/orders-finish"
                    let end = try await ExampleProgram("orders", arguments(queue, server, state), writingTo: file).end()
                    if end.code == 0 { return try Report(end) }
                    // It takes the queue for empty while the last of its messages are on their way.
                    try #require(end.errors.contains("run it again"), "\(end.errors)")
                }
            }

            @Test("A stream is processed to its end, and a second run processes what has come since")
            func stream() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "purchase-stream")
                let address = try await StreamBench.declare(stream)
                let arguments = Self.arguments(stream, server, "\(server.folder)/\(stream)") + ["--stream"]
                // In the first run the stream is empty; of what comes then, one is sent twice.
                for (numbers, processed) in [([], 0), ([1, 2, 3, 2], 3), ([4], 4)] as [([Int], Int)] {
                    let messages = numbers.map { number in
                        let line = """
                            {"id": "p-\(number)", "customer": "c", "date": "2024-01-01", "quantity": 1, "cents": 100}
                            """
                        return OutgoingMessage(to: stream, key: nil as [UInt8]?, payload: Array(line.utf8))
                    }
                    try await PlainProducer.send(messages, at: address)
                    let file = "\(server.folder)/\(stream)-\(processed)"
                    let end = try await ExampleProgram("orders", arguments, writingTo: file).end()
                    try #require(end.code == 0, "\(end.errors)")
                    let report = try Report(end)
                    #expect(report.processed == processed && report.totalCents == 100 * processed)
                    #expect(report.receipts == processed && report.duplicates == (processed == 0 ? 0 : 1))
                }
            }

            @Test("A queue that is not there is named, and no password")
            func missing() async throws {
                let server = try await RabbitMQServer.running()
                let file = "\(server.folder)/orders-missing"
                let end = try await ExampleProgram(
                    "orders",
                    Self.arguments("nowhere", server, "\(file).state"),
                    writingTo: file
                ).end()
                #expect(end.code == 2 && end.output == "")
                #expect(end.errors.contains("'nowhere'") && !end.errors.contains("guest:"), "\(end.errors)")
            }
        }
    }
#endif
