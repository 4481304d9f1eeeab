#if RabbitMQ
    import Logging
    import Ratchet
    import ServiceLifecycle
    import Synchronization
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// Whole pipelines, while the server is done to what is done to servers.
        @Suite struct PipelineTests {
            private static let effects = StateTable<String, Int>("effects")

            /// What handlers have seen: opens its latch with the last of them.
            private final class Seen: Sendable {
                let first = Latch()
                let all = Latch()
                private let wanted: Int
                private let texts = Mutex<Set<String>>([])

                init(_ wanted: Int) { self.wanted = wanted }

                var count: Int { texts.withLock { $0.count } }

                func note(_ text: String) {
                    let isAll = texts.withLock { texts in
                        texts.insert(text)
                        return texts.count == wanted
                    }
                    first.open()
                    if isAll { all.open() }
                }
            }

            private static func ledger(_ queue: String, in folder: String) throws -> Ledger {
                var configuration = Ledger.Configuration()
                configuration.isDurable = false
                configuration.logger = .silent
                return try Ledger(at: "\(folder)/\(queue).ledger", configuration: configuration)
            }

            private static func pipeline(
                _ queue: String,
                _ address: RabbitMQAddress,
                _ ledger: Ledger,
                publishingTo sink: RabbitMQSink? = nil,
                handler: @escaping @Sendable (String) async -> Void
            ) throws -> Pipeline<Message> {
                var configuration = PipelineConfiguration()
                configuration.logger = .silent
                configuration.outboxRetries = RetryPolicy(
                    initialDelay: .milliseconds(10),
                    maximumDelay: .milliseconds(200)
                )
                let source = try RabbitMQSubscription(
                    to: queue,
                    at: address,
                    as: "g",
                    prefetch: 50,
                    configuration: .quick
                )
                return Pipeline(
                    "billing",
                    from: source,
                    ledger: ledger,
                    decoding: .raw,
                    identifiedBy: .messageID,
                    publishingTo: sink,
                    configuration: configuration
                ) { message, context in
                    context.onCommit { try $0.update(effects, message.text, default: 0) { $0 += 1 } }
                    if sink != nil {
                        let receipt = OutgoingMessage(
                            to: "\(queue).receipts",
                            key: message.key,
                            payload: message.payload
                        )
                        try context.publish(receipt)
                    }
                    await handler(message.text)
                }
            }

            private static func run(
                _ pipeline: Pipeline<Message>,
                until latch: Latch,
                _ meanwhile: @escaping @Sendable () async throws -> Void
            ) async throws {
                let services = ServiceGroup(services: [pipeline], logger: .silent)
                try await withThrowingTaskGroup { group in
                    group.addTask {
                        // Ended before its time it opens nothing else.
                        defer { latch.open() }
                        try await services.run()
                    }
                    try await meanwhile()
                    await latch.wait()
                    await services.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }

            private static func counts(_ ledger: Ledger) throws -> [String: Int] {
                var counts: [String: Int] = [:]
                try ledger.reader.forEach(in: effects) { counts[$0] = $1 }
                return counts
            }

            /// Sends until all is confirmed, however often the server dies meanwhile.
            private static func sendAll(_ messages: [OutgoingMessage], _ sink: RabbitMQSink) async throws {
                var left = messages
                while !left.isEmpty {
                    let failures = try await sink.send(OutgoingBatch(left.prefix(100)))
                    left = failures.map { left[$0.index] } + left.dropFirst(100)
                }
            }

            private static func once(_ numbers: Range<Int>) -> [String: Int] {
                Dictionary(uniqueKeysWithValues: numbers.map { ("\($0)", 1) })
            }

            @Test("The server dies three times while a pipeline runs: each effect once, and each receipt under one id")
            func crashes() async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "crashes")
                var topology = RabbitMQTopology()
                for name in [queue, "\(queue).receipts"] { topology.add(RabbitMQQueue(name)) }
                try await topology.declare(at: address, configuration: .quick)
                let ledger = try Self.ledger(queue, in: server.folder)
                let producer = try RabbitMQSink(at: address, configuration: .quick)
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                let seen = Seen(1_200)
                let pipeline = try Self.pipeline(queue, address, ledger, publishingTo: sink) { seen.note($0) }
                try await Self.run(pipeline, until: seen.all) {
                    for round in 0..<4 {
                        let numbers = round * 300..<(round + 1) * 300
                        // Each twice.
                        let messages = (numbers.map { $0 } + numbers).map { OutgoingMessage.numbered($0, to: queue) }
                        async let sent: Void = Self.sendAll(messages, producer)
                        // A queue that was just made has no leader after a crash, confirmed messages or not.
                        if round == 1 { _ = await Latch().wait(atMost: .seconds(15), clock: ContinuousClock()) }
                        if round > 0 { try await server.crash() }
                        try await sent
                        try await ledger.outbox.drained()
                    }
                }
                #expect(try Self.counts(ledger) == Self.once(0..<1_200))
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
                let ledger = try Self.ledger(queue, in: server.folder)
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                let seen = Seen(60)
                let pipeline = try Self.pipeline(queue, address, ledger, publishingTo: sink) { seen.note($0) }
                // Empties the queue that is full, slowly.
                let other = try Self.ledger("\(queue).receipts", in: server.folder)
                let received = Seen(60)
                let emptying = try Self.pipeline("\(queue).receipts", address, other) { received.note($0) }
                try await Self.run(pipeline, until: received.all) {
                    await seen.all.wait()
                    #expect(ledger.outbox.backlog > 0)
                    try await Self.run(emptying, until: received.all) {}
                }
                #expect(try Self.counts(other) == Self.once(0..<60))
                #expect(try Self.counts(ledger) == Self.once(0..<60))
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
                let ledger = try Self.ledger(queue, in: server.folder)
                let seen = Seen(1)
                let handled = Mutex(0)
                let pipeline = try Self.pipeline(queue, address, ledger) { text in
                    handled.withLock { $0 += 1 }
                    // Twice the two heartbeats after which a side that is silent is given up.
                    _ = await Latch().wait(atMost: .seconds(20), clock: ContinuousClock())
                    seen.note(text)
                }
                try await Self.run(pipeline, until: seen.all) {}
                #expect(handled.withLock { $0 } == 1 && pipeline.statistics.delivered == 1)
                #expect(try Self.counts(ledger) == Self.once(0..<1))
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
                let ledger = try Self.ledger(queue, in: server.folder)
                let seen = Seen(50)
                let pipeline = try Self.pipeline(queue, address, ledger) { seen.note($0) }
                try await Self.run(pipeline, until: seen.all) {}
                #expect(try Self.counts(ledger) == Self.once(0..<50))
                await ledger.close()
            }

            @Test("A server that stands still while a pipeline runs, again and again: each effect once")
            func starved() async throws {
                let server = try await RabbitMQServer.running()
                let (address, queue) = (try server.address, "starved")
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(queue, kind: .classic))
                try await topology.declare(at: address, configuration: .quick)
                let ledger = try Self.ledger(queue, in: server.folder)
                let producer = try RabbitMQSink(at: address, configuration: .quick)
                let seen = Seen(600)
                let pipeline = try Self.pipeline(queue, address, ledger) { seen.note($0) }
                try await Self.run(pipeline, until: seen.all) {
                    for round in 0..<3 {
                        let messages = (round * 200..<(round + 1) * 200).map { OutgoingMessage.numbered($0, to: queue) }
                        async let sent: Void = Self.sendAll(messages, producer)
                        await seen.first.wait()
                        try await server.order("pause")
                        _ = await Latch().wait(atMost: .seconds(round == 1 ? 12 : 1), clock: ContinuousClock())
                        try await server.order("resume")
                        try await sent
                    }
                }
                #expect(try Self.counts(ledger) == Self.once(0..<600))
                await ledger.close()
                await producer.close()
            }
        }
    }
#endif
