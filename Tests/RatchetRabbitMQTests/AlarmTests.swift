#if RabbitMQ
    import Logging
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// Pipelines on a server that has used up what it has: it takes nothing of whoever publishes.
        @Suite struct AlarmTests {
            @Test(
                "A server out of memory or disk while a pipeline runs: acks go on, receipts wait, each effect once, none lost",
                arguments: ["memory", "disk"]
            )
            func alarm(_ resource: String) async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "out-of-\(resource)")
                var topology = RabbitMQTopology()
                for name in [queue, "\(queue).receipts"] { topology.add(RabbitMQQueue(name)) }
                try await topology.declare(at: address, configuration: .quick)
                try await PlainProducer.send((0..<600).map { .numbered($0, to: queue) }, at: address)
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let refusal = LogListener("the server takes no messages")
                let blocked = refusal.next()
                var connection = RabbitMQConfiguration.quick
                connection.logger = refusal.logger
                // Given up several times while the server takes nothing.
                let sink = try RabbitMQSink(
                    at: address,
                    settings: .with { $0.timeout = .seconds(2) },
                    configuration: connection
                )
                let seen = QueueBench.Seen(600)
                let alarmed = Latch()
                let pipeline = try QueueBench.pipeline(queue, address, ledger, publishingTo: sink) { text in
                    seen.note(text)
                    if Int(text) ?? 0 >= 100 { await alarmed.wait() }
                }
                try await QueueBench.run(pipeline, until: seen.all) {
                    await seen.reach(100)
                    try await server.order("alarm \(resource)")
                    alarmed.open()
                    await blocked.wait()
                    // Ten times the prefetch: without acks they would not have come.
                    await seen.all.wait()
                    // Longer than two heartbeats, after which a side that is silent is given up.
                    _ = await Latch().wait(atMost: .seconds(12), clock: ContinuousClock())
                    #expect(ledger.outbox.backlog >= 450)
                    #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<600))
                    try await server.order("calm")
                    try await ledger.outbox.drained()
                }
                #expect(pipeline.statistics.delivered == 600)
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<600))
                var ids: [String: Set<[UInt8]>] = [:]
                for receipt in try await PlainReader.contents(of: "\(queue).receipts", at: address) {
                    ids[receipt.text, default: []].insert(receipt.header(Header.messageIDName) ?? [])
                }
                #expect(ids.count == 600 && ids.values.allSatisfy { $0.count == 1 })
                await ledger.close()
                await sink.close()
            }
        }
    }
#endif
