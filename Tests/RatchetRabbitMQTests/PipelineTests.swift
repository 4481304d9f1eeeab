#if RabbitMQ
    import Ratchet
    import Synchronization
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// Whole pipelines, while the server is done to what is done to servers.
        @Suite struct PipelineTests {
            @Test("The server dies three times while a pipeline runs: each effect once, and each receipt under one id")
            func crashes() async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "crashes")
                var topology = RabbitMQTopology()
                for name in [queue, "\(queue).receipts"] { topology.add(RabbitMQQueue(name)) }
                try await topology.declare(at: address, configuration: .quick)
                try await server.keepDeclarations()
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let producer = try RabbitMQSink(at: address, configuration: .quick)
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                let seen = QueueBench.Seen(1_200)
                let pipeline = try QueueBench.pipeline(queue, address, ledger, publishingTo: sink) { seen.note($0) }
                try await QueueBench.run(pipeline, until: seen.all) {
                    for round in 0..<4 {
                        let numbers = round * 300..<(round + 1) * 300
                        // Each twice.
                        let messages = (numbers.map { $0 } + numbers).map { OutgoingMessage.numbered($0, to: queue) }
                        async let sent: Void = QueueBench.sendAll(messages, producer)
                        if round > 0 { try await server.crash() }
                        try await sent
                        try await ledger.outbox.drained()
                    }
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<1_200))
                #expect(ledger.outbox.backlog == 0)
                var ids: [String: Set<[UInt8]>] = [:]
                for receipt in try await PlainReader.contents(of: "\(queue).receipts", at: address) {
                    ids[receipt.text, default: []].insert(receipt.header(Header.messageIDName) ?? [])
                }
                #expect(ids.count == 1_200 && ids.values.allSatisfy { $0.count == 1 })
                await ledger.close()
                for sink in [producer, sink] { await sink.close() }
            }

            @Test("A full queue refuses a pipeline's receipts until it is emptied: none is lost")
            func nacks() async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "refused")
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue))
                var receipts = RabbitMQQueue("\(queue).receipts")
                receipts.maximumLength = 10
                topology.add(receipts)
                try await topology.declare(at: address, configuration: .quick)
                try await PlainProducer.send((0..<60).map { .numbered($0, to: queue) }, at: address)
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                let seen = QueueBench.Seen(60)
                let pipeline = try QueueBench.pipeline(queue, address, ledger, publishingTo: sink) { seen.note($0) }
                // Empties the queue that is full, slowly.
                let other = try QueueBench.ledger("\(queue).receipts", in: server.folder)
                let received = QueueBench.Seen(60)
                let emptying = try QueueBench.pipeline("\(queue).receipts", address, other) { received.note($0) }
                try await QueueBench.run(pipeline, until: received.all) {
                    await seen.all.wait()
                    // Handled is not yet committed; the queue has room for fewer than there are.
                    while ledger.outbox.backlog == 0 {
                        _ = await Latch().wait(atMost: .milliseconds(20), clock: ContinuousClock())
                        try Task.checkCancellation()
                    }
                    try await QueueBench.run(emptying, until: received.all) {}
                }
                #expect(try QueueBench.counts(other) == QueueBench.once(0..<60))
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<60))
                for ledger in [ledger, other] { await ledger.close() }
                await sink.close()
            }

            @Test("A handler that takes longer than the heartbeats keeps its channel")
            func slow() async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "slow-handler")
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue))
                try await topology.declare(at: address, configuration: .quick)
                try await PlainProducer.send([.numbered(0, to: queue)], at: address)
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let seen = QueueBench.Seen(1)
                let handled = Mutex(0)
                let pipeline = try QueueBench.pipeline(queue, address, ledger) { text in
                    handled.withLock { $0 += 1 }
                    // Twice the two heartbeats after which a side that is silent is given up.
                    _ = await Latch().wait(atMost: .seconds(20), clock: ContinuousClock())
                    seen.note(text)
                }
                try await QueueBench.run(pipeline, until: seen.all) {}
                #expect(handled.withLock { $0 } == 1 && pipeline.statistics.delivered == 1)
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<1))
                await ledger.close()
            }

            @Test("What Python's pika has sent, each twice, has its effect once, with all that it says of itself")
            func foreign() async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "foreign")
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue))
                try await topology.declare(at: address, configuration: .quick)
                try await server.order("produce \(queue) 50")
                let found = try await PlainReader.contents(of: queue, at: address)
                #expect(found.count == 100)
                let message = try #require(found.dropFirst(7).first)
                #expect(message.text == "7" && message.timestamp == 1_700_000_007_000 && message.key == nil)
                let headers = message.headers.sorted { $0.name < $1.name }
                let expected = [
                    Header("content-type", "text/plain"), Header("flags", "{deep: [1, true, ]}"),
                    Header("kind", "ключ"), Header("message-id", "id-7"), Header("number", "7"),
                ]
                #expect(headers == expected)
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let seen = QueueBench.Seen(50)
                let pipeline = try QueueBench.pipeline(queue, address, ledger) { seen.note($0) }
                try await QueueBench.run(pipeline, until: seen.all) {}
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<50))
                await ledger.close()
            }

            @Test("A server that stands still while a pipeline runs, again and again: each effect once")
            func starved() async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "starved")
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue, kind: .classic))
                try await topology.declare(at: address, configuration: .quick)
                let ledger = try QueueBench.ledger(queue, in: server.folder)
                let producer = try RabbitMQSink(at: address, configuration: .quick)
                let seen = QueueBench.Seen(600)
                let pipeline = try QueueBench.pipeline(queue, address, ledger) { seen.note($0) }
                try await QueueBench.run(pipeline, until: seen.all) {
                    for round in 0..<3 {
                        let messages = (round * 200..<(round + 1) * 200).map { OutgoingMessage.numbered($0, to: queue) }
                        async let sent: Void = QueueBench.sendAll(messages, producer)
                        await seen.first.wait()
                        try await server.order("pause")
                        _ = await Latch().wait(atMost: .seconds(round == 1 ? 12 : 1), clock: ContinuousClock())
                        try await server.order("resume")
                        try await sent
                    }
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<600))
                await ledger.close()
                await producer.close()
            }
        }
    }
#endif
