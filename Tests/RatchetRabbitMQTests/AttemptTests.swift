#if RabbitMQ
    import Ratchet
    import ServiceLifecycle
    import Synchronization
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// What a pipeline makes of what a queue says of a message: how often it came, and under which id.
        @Suite struct AttemptTests {
            private struct Failing: Error {}

            private static func queue(_ name: String, _ kind: RabbitMQQueue.Kind) async throws -> RabbitMQAddress {
                let address = try await RabbitMQServer.running().address
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(name, kind: kind))
                try await topology.declare(at: address, configuration: .quick)
                return address
            }

            /// Takes the one message of a queue so often, and gives it back.
            private static func take(_ times: Int, from queue: String, _ address: RabbitMQAddress) async throws {
                let source = try RabbitMQSubscription(to: queue, at: address, as: "g", configuration: .quick)
                for _ in 0..<times {
                    let session = try await source.open()
                    guard case .assigned(let assignments) = try await session.next() else { continue }
                    try await session.start(assignments[0].partition, at: 1, generation: assignments[0].generation)
                    guard case .messages = try await session.next() else {
                        Issue.record("nothing was delivered")
                        return
                    }
                    await session.close()
                }
            }

            @Test(
                "Deliveries that the queue has counted are attempts, and the last of them is a dead letter",
                // A classic queue says no more than that there was one before.
                arguments: [(RabbitMQQueue.Kind.quorum, 4), (.classic, 2)]
            )
            func counted(_ kind: RabbitMQQueue.Kind, _ first: Int) async throws {
                let name = "counted-\(kind)"
                let address = try await Self.queue(name, kind)
                try await PlainProducer.send([.numbered(0, to: name)], at: address)
                try await Self.take(3, from: name, address)
                let ledger = try QueueBench.ledger(name, in: try await RabbitMQServer.running().folder)
                var configuration = PipelineConfiguration()
                configuration.logger = .silent
                configuration.retries = RetryPolicy(attempts: first + 1, initialDelay: .milliseconds(1))
                let attempts = Mutex<[Int]>([])
                let isLast = Latch()
                let pipeline = Pipeline(
                    "counting",
                    from: try RabbitMQSubscription(to: name, at: address, as: "g", configuration: .quick),
                    ledger: ledger,
                    decoding: .raw,
                    identifiedBy: .messageID,
                    configuration: configuration
                ) { (_: Message, context: HandlerContext) in
                    attempts.withLock { $0.append(context.attempt) }
                    if context.attempt > first { isLast.open() }
                    throw Failing()
                }
                try await QueueBench.run(pipeline, until: isLast) {}
                #expect(attempts.withLock { $0 } == [first, first + 1])
                let letters = try ledger.reader.deadLetters()
                #expect(letters.map(\.attempts) == [first + 1] && letters.map(\.reason) == [.handler])
                // A dead letter is settled: it is acked.
                #expect(try await PlainReader.contents(of: name, at: address).isEmpty)
                await ledger.close()
            }

            @Test("A message without an id is a dead letter, and those behind it have their effects")
            func withoutID() async throws {
                let address = try await Self.queue("without-id", .quorum)
                var nameless = OutgoingMessage.numbered(0, to: "without-id", keys: 1)
                nameless.headers = []
                let named = (1..<4).map { OutgoingMessage.numbered($0, to: "without-id", keys: 1) }
                try await PlainProducer.send([nameless] + named, at: address)
                let ledger = try QueueBench.ledger("without-id", in: try await RabbitMQServer.running().folder)
                let seen = QueueBench.Seen(3)
                let pipeline = try QueueBench.pipeline("without-id", address, ledger) { seen.note($0) }
                try await QueueBench.run(pipeline, until: seen.all) {}
                #expect(try QueueBench.counts(ledger) == QueueBench.once(1..<4))
                let letters = try ledger.reader.deadLetters()
                #expect(letters.map(\.reason) == [.key] && letters.map(\.payload) == [nameless.payload])
                #expect(try await PlainReader.contents(of: "without-id", at: address).isEmpty)
                await ledger.close()
            }

            @Test("A pipeline that names no ids is refused before it has taken anything")
            func withoutKeys() async throws {
                let address = try await Self.queue("without-keys", .classic)
                try await PlainProducer.send([.numbered(0, to: "without-keys")], at: address)
                let ledger = try QueueBench.ledger("without-keys", in: try await RabbitMQServer.running().folder)
                let pipeline = Pipeline(
                    "blind",
                    from: try RabbitMQSubscription(to: "without-keys", at: address, as: "g", configuration: .quick),
                    ledger: ledger,
                    decoding: .raw,
                    identifiedBy: .positionOnly
                ) { (_: Message, _: HandlerContext) in Issue.record("a handler ran") }
                let error = await #expect(throws: PipelineError.self) { try await pipeline.run() }
                #expect(error?.code == .keysRequired)
                #expect(try await PlainReader.contents(of: "without-keys", at: address).map(\.deliveryCount) == [1])
                await ledger.close()
            }
        }
    }
#endif
