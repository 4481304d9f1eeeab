#if RabbitMQ
    import Logging
    import Ratchet
    import Synchronization
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// Pipelines on a server that closes a channel whose oldest message is not acked within its consumer timeout.
        @Suite struct ConsumerTimeoutTests {
            private static let usual = 1_800_000

            /// Calls `body` with a queue whose consumers have so many milliseconds for each ack.
            private static func withTimeout(
                _ milliseconds: Int,
                _ queue: String,
                deliveryLimit: Int? = nil,
                _ body: (RabbitMQServer, RabbitMQAddress) async throws -> Void
            ) async throws {
                let server = try await RabbitMQServer.running()
                let address = try server.address
                var topology = RabbitMQTopology()
                var declared = RabbitMQQueue(queue)
                declared.deliveryLimit = deliveryLimit
                topology.add(declared, deadLetters: deliveryLimit.map { _ in "\(queue).dead" })
                try await topology.declare(at: address, configuration: .quick)
                try await server.order("patience \(milliseconds)")
                let result: Result<Void, any Error>
                do { result = .success(try await body(server, address)) } catch { result = .failure(error) }
                try await server.order("patience \(usual)")
                try result.get()
            }

            /// Messages with a key of their own each.
            private static func messages(_ numbers: Range<Int>, _ queue: String) -> [OutgoingMessage] {
                numbers.map { .numbered($0, to: queue, keys: 1_000_000) }
            }

            @Test("Slow messages, each within the timeout: hundreds of others are acked meanwhile, none comes twice")
            func within() async throws {
                let queue = "within-timeout"
                try await Self.withTimeout(20_000, queue) { server, address in
                    let ledger = try QueueBench.ledger(queue, in: server.folder)
                    let seen = QueueBench.Seen(800)
                    let slow = Mutex(0)
                    let pipeline = try QueueBench.pipeline(queue, address, ledger) { text in
                        if ["0", "400"].contains(text) {
                            _ = await Latch().wait(atMost: .seconds(12), clock: ContinuousClock())
                            slow.withLock { $0 += 1 }
                        }
                        seen.note(text)
                    }
                    try await QueueBench.run(pipeline, until: seen.all) {
                        // Together they take longer than the timeout.
                        for round in 0..<2 {
                            let numbers = round * 400..<(round + 1) * 400
                            try await PlainProducer.send(Self.messages(numbers, queue), at: address)
                            // Eight times the prefetch, while the first of them still runs.
                            await seen.reach(numbers.upperBound - 1)
                            #expect(slow.withLock { $0 } == round)
                            await seen.reach(numbers.upperBound)
                        }
                    }
                    #expect(pipeline.statistics.delivered == 800)
                    #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<800))
                    await ledger.close()
                }
            }

            @Test("A handler that outlasts the timeout runs again once it has ended: each effect once")
            func beyond() async throws {
                let queue = "beyond-timeout"
                try await Self.withTimeout(3_000, queue) { server, address in
                    let ledger = try QueueBench.ledger(queue, in: server.folder)
                    let losses = LogListener("channel lost: a message was not acked within")
                    let lost = losses.next()
                    var connection = RabbitMQConfiguration.quick
                    connection.logger = losses.logger
                    let seen = QueueBench.Seen(201)
                    let slow = Mutex((running: 0, most: 0, runs: 0))
                    let released = Latch()
                    let pipeline = try QueueBench.pipeline(queue, address, ledger, connection: connection) { text in
                        guard text == "0" else { return seen.note(text) }
                        let run = slow.withLock { slow in
                            slow.running += 1
                            slow.runs += 1
                            slow.most = max(slow.most, slow.running)
                            return slow.runs
                        }
                        await released.wait()
                        slow.withLock { $0.running -= 1 }
                        if run > 1 { seen.note(text) }
                    }
                    try await QueueBench.run(pipeline, until: seen.all) {
                        try await PlainProducer.send(Self.messages(0..<200, queue), at: address)
                        await lost.wait()
                        // What comes back comes before it.
                        try await PlainProducer.send(Self.messages(200..<201, queue), at: address)
                        await seen.reach(200)
                        #expect(slow.withLock { $0.runs } == 1)
                        released.open()
                    }
                    #expect(slow.withLock { $0.most } == 1 && slow.withLock { $0.runs } == 2)
                    #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<201))
                    #expect(try await PlainReader.contents(of: queue, at: address).isEmpty)
                    await ledger.close()
                }
            }

            @Test("A handler that does not end: by the queue's delivery limit its message is a dead letter, no effect")
            func never() async throws {
                let queue = "never-within-timeout"
                try await Self.withTimeout(3_000, queue, deliveryLimit: 1) { server, address in
                    let ledger = try QueueBench.ledger(queue, in: server.folder)
                    let seen = QueueBench.Seen(200)
                    let runs = Mutex(0)
                    let released = Latch()
                    let pipeline = try QueueBench.pipeline(queue, address, ledger) { text in
                        guard text == "0" else { return seen.note(text) }
                        runs.withLock { $0 += 1 }
                        await released.wait()
                    }
                    try await QueueBench.run(pipeline, until: seen.all) {
                        try await PlainProducer.send(Self.messages(0..<200, queue), at: address)
                        while try await PlainReader.contents(of: "\(queue).dead", at: address).isEmpty {
                            _ = await Latch().wait(atMost: .milliseconds(100), clock: ContinuousClock())
                        }
                        try await PlainProducer.send(Self.messages(200..<201, queue), at: address)
                        await seen.reach(200)
                        released.open()
                    }
                    #expect(runs.withLock { $0 } == 1)
                    #expect(try QueueBench.counts(ledger) == QueueBench.once(1..<201))
                    #expect(try await PlainReader.contents(of: "\(queue).dead", at: address).map(\.text) == ["0"])
                    #expect(try await PlainReader.contents(of: queue, at: address).isEmpty)
                    await ledger.close()
                }
            }
        }
    }
#endif
