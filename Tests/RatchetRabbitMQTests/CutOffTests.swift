#if RabbitMQ
    import Logging
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// Pipelines that a network takes their server from, without a word to either of them.
        @Suite struct CutOffTests {
            private static func connection(_ logger: Logger = .silent) -> RabbitMQConfiguration {
                var configuration = RabbitMQConfiguration.quick
                configuration.heartbeat = .seconds(1)
                // A connection that is made while the network is cut is given up so soon.
                configuration.timeout = .seconds(10)
                configuration.logger = logger
                return configuration
            }

            @Test("Cut off from the server again and again while a pipeline runs: it comes back, each effect once")
            func cutOff() async throws {
                let server = try await RabbitMQServer.running()
                try await server.order("relay")
                let queue = "cut-off"
                var topology = RabbitMQTopology()
                for name in [queue, "\(queue).receipts"] { topology.add(RabbitMQQueue(name)) }
                try await topology.declare(at: try server.address, configuration: .quick)
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let losses = LogListener("connection lost")
                let address = try server.relayedAddress
                let sink = try RabbitMQSink(at: address, configuration: Self.connection())
                let seen = QueueBench.Seen(600)
                let pipeline = try QueueBench.pipeline(
                    queue,
                    address,
                    ledger,
                    publishingTo: sink,
                    connection: Self.connection(losses.logger)
                ) { seen.note($0) }
                try await QueueBench.run(pipeline, until: seen.all) {
                    for round in 0..<3 {
                        let numbers = round * 200..<(round + 1) * 200
                        let lost = losses.next()
                        let messages = numbers.map { OutgoingMessage.numbered($0, to: queue) }
                        try await PlainProducer.send(messages.prefix(100), at: try server.address)
                        // In the middle of these; their acks and receipts may be under way.
                        await seen.reach(numbers.lowerBound + 1)
                        try await server.order("cut")
                        // The first hundred come a second time.
                        try await PlainProducer.send(messages, at: try server.address)
                        await lost.wait()
                        try await server.order("heal")
                        await seen.reach(numbers.upperBound)
                    }
                    try await ledger.outbox.drained()
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<600))
                var ids: [String: Set<[UInt8]>] = [:]
                for receipt in try await PlainReader.contents(of: "\(queue).receipts", at: try server.address) {
                    ids[receipt.text, default: []].insert(receipt.header(Header.messageIDName) ?? [])
                }
                #expect(ids.count == 600 && ids.values.allSatisfy { $0.count == 1 })
                await ledger.close()
                await sink.close()
            }

            @Test(
                "A producer that is cut off is told that nothing is known, and sent again under their ids all are there"
            )
            func producer() async throws {
                let server = try await RabbitMQServer.running()
                try await server.order("relay")
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue("cut-off-producer"))
                try await topology.declare(at: try server.address, configuration: .quick)
                let sink = try RabbitMQSink(at: try server.relayedAddress, configuration: Self.connection())
                let messages = (0..<50).map { OutgoingMessage.numbered($0, to: "cut-off-producer") }
                #expect(try await sink.send(OutgoingBatch(messages.prefix(10))).isEmpty)
                try await server.order("cut")
                let failures = try await sink.send(OutgoingBatch(messages.dropFirst(10)))
                #expect(failures.count == 40)
                #expect(failures.allSatisfy { ($0.error as? RabbitMQError)?.isRetriable ?? false }, "\(failures)")
                try await server.order("heal")
                try await QueueBench.sendAll(Array(messages.dropFirst(10)), sink)
                let found = try await PlainReader.contents(of: "cut-off-producer", at: try server.address)
                #expect(Set(found.map(\.text)) == Set((0..<50).map { "\($0)" }))
                await sink.close()
            }

            @Test(
                "Packets that are dropped for less than two heartbeats: the connection outlives it, nothing comes twice",
                .enabled(if: RabbitMQServer.hasOwnNetwork, "Tests/run makes a network for it where that is allowed")
            )
            func brief() async throws {
                let server = try await RabbitMQServer.running()
                try await server.order("relay")
                let queue = "briefly-cut-off"
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue))
                try await topology.declare(at: try server.address, configuration: .quick)
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let losses = LogListener("connection lost")
                let lost = losses.next()
                var connection = Self.connection(losses.logger)
                connection.heartbeat = .seconds(60)
                let seen = QueueBench.Seen(300)
                let address = try server.relayedAddress
                let pipeline = try QueueBench.pipeline(queue, address, ledger, connection: connection) { seen.note($0) }
                try await QueueBench.run(pipeline, until: seen.all) {
                    for round in 0..<3 {
                        let messages = (round * 100..<(round + 1) * 100).map { OutgoingMessage.numbered($0, to: queue) }
                        try await PlainProducer.send(messages.prefix(50), at: try server.address)
                        // In the middle of these; their acks may be under way.
                        await seen.reach(round * 100 + 1)
                        try await server.order("cut")
                        try await PlainProducer.send(messages.dropFirst(50), at: try server.address)
                        // Deliveries, acks, or what is sent again of them.
                        try await server.order("dropped 3")
                        try await server.order("heal")
                        await seen.reach((round + 1) * 100)
                    }
                }
                #expect(!lost.isOpen && pipeline.statistics.delivered == 300)
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<300))
                await ledger.close()
            }
        }
    }
#endif
