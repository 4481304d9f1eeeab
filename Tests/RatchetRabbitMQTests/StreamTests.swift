#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// What streams do beside what the conformance suite asks of every log.
        @Suite struct StreamTests {
            private static func declare(_ stream: String) async throws -> RabbitMQAddress {
                let address = try await RabbitMQServer.running().address
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(stream, kind: .stream))
                try await topology.declare(at: address, configuration: .quick)
                return address
            }

            private static func pipeline(
                _ stream: String,
                _ address: RabbitMQAddress,
                _ ledger: Ledger,
                _ seen: QueueBench.Seen
            ) throws -> Pipeline<Message> {
                var configuration = PipelineConfiguration()
                configuration.logger = .silent
                configuration.commitInterval = .milliseconds(50)
                return Pipeline(
                    "billing",
                    from: try RabbitMQStreamSubscription(
                        to: stream,
                        at: address,
                        as: "g",
                        prefetch: 50,
                        configuration: .quick
                    ),
                    ledger: ledger,
                    decoding: .raw,
                    identifiedBy: .messageID,
                    configuration: configuration
                ) { message, context in
                    context.onCommit { try $0.update(QueueBench.effects, message.text, default: 0) { $0 += 1 } }
                    seen.note(message.text)
                }
            }

            private static func produce(_ numbers: Range<Int>, _ stream: String, _ address: RabbitMQAddress)
                async throws
            {
                try await PlainProducer.send(numbers.map { .numbered($0, to: stream) }, at: address)
            }

            @Test("The server dies while a pipeline runs: it goes on where the ledger is, each effect once")
            func crashes() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-crashes")
                let address = try await Self.declare(stream)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let producer = try RabbitMQSink(at: address, configuration: .quick)
                let seen = QueueBench.Seen(600)
                let pipeline = try Self.pipeline(stream, address, ledger, seen)
                try await QueueBench.run(pipeline, until: seen.all) {
                    for round in 0..<3 {
                        let numbers = round * 200..<(round + 1) * 200
                        // Each twice.
                        let messages = (Array(numbers) + numbers).map { OutgoingMessage.numbered($0, to: stream) }
                        async let sent: Void = QueueBench.sendAll(messages, producer)
                        // What was just made has no leader after a crash, confirmed messages or not.
                        if round == 1 { _ = await Latch().wait(atMost: .seconds(15), clock: ContinuousClock()) }
                        if round > 0 { try await server.crash() }
                        try await sent
                        await seen.reach(numbers.upperBound)
                    }
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<600))
                await ledger.close()
                await producer.close()
            }

            @Test("A second run goes on at its position; another ledger is refused")
            func lineage() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-lineage")
                let address = try await Self.declare(stream)
                try await Self.produce(0..<100, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                for numbers in [0..<100, 100..<150] {
                    if numbers.lowerBound > 0 { try await Self.produce(numbers, stream, address) }
                    let seen = QueueBench.Seen(numbers.count)
                    let pipeline = try Self.pipeline(stream, address, ledger, seen)
                    try await QueueBench.run(pipeline, until: seen.all) {}
                    // Nothing was delivered a second time: it did not begin before its position.
                    #expect(pipeline.statistics.delivered == numbers.count)
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<150))
                let other = try QueueBench.ledger("\(stream)-other", in: server.folder)
                let stranger = try Self.pipeline(stream, address, other, QueueBench.Seen(1))
                let error = try await Self.stopped(stranger)
                #expect(error.code == .foreignLedger)
                for ledger in [ledger, other] { await ledger.close() }
            }

            @Test("A message keeps its key, payload and headers, which the server sorts by their names")
            func headers() async throws {
                let address = try await Self.declare("stream-headers")
                let headers = [Header("b", [0, 255]), Header("a", Array("ä".utf8))]
                let message = OutgoingMessage(to: "stream-headers", key: [7, 0], payload: [1, 2, 3], headers: headers)
                try await PlainProducer.send([message], at: address)
                let found = try await PlainReader.contents(ofStream: "stream-headers", at: address)
                #expect(found.map(\.key) == [[7, 0]] && found.map(\.payload) == [[1, 2, 3]])
                #expect(found.first?.headers == [headers[1], headers[0]])
            }

            @Test("A queue is not taken for a stream")
            func queue() async throws {
                let address = try await RabbitMQServer.running().address
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue("no-stream"))
                try await topology.declare(at: address, configuration: .quick)
                try await Self.produce(0..<1, "no-stream", address)
                let source = try RabbitMQStreamSubscription(
                    to: "no-stream",
                    at: address,
                    as: "g",
                    configuration: .quick
                )
                let error = await #expect(throws: RabbitMQError.self) { _ = try await source.open() }
                #expect(error?.code == .mismatch)
                #expect(try await PlainReader.contents(of: "no-stream", at: address).count == 1)
            }

            @Test("A stream that is made anew has other messages under its offsets: the partition stops")
            func madeAnew() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-made-anew")
                let address = try await Self.declare(stream)
                try await Self.produce(0..<10, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let seen = QueueBench.Seen(10)
                try await QueueBench.run(try Self.pipeline(stream, address, ledger, seen), until: seen.all) {}
                try await Asking.connected(to: address, .quick) { try $0.deleteQueue(stream) }
                _ = try await Self.declare(stream)
                try await Self.produce(100..<120, stream, address)
                let error = try await Self.stopped(try Self.pipeline(stream, address, ledger, QueueBench.Seen(1)))
                #expect(error.code == .offsetsReused)
                await ledger.close()
            }

            @Test("What retention has removed is not skipped in silence: the partition stops and says what is lost")
            func retention() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-retention")
                let address = try server.address
                try await Asking.connected(to: address, .quick) { wire in
                    var arguments = RabbitMQQueue(stream, kind: .stream).arguments
                    arguments.append("x-max-length-bytes", .number(20_000))
                    arguments.append("x-stream-max-segment-size-bytes", .number(10_000))
                    try wire.declareQueue(stream, isDurable: true, arguments)
                }
                try await Self.produce(0..<10, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let seen = QueueBench.Seen(10)
                try await QueueBench.run(try Self.pipeline(stream, address, ledger, seen), until: seen.all) {}
                for _ in 0..<20 { try await Self.produce(0..<200, stream, address) }
                let error = try await Self.stopped(try Self.pipeline(stream, address, ledger, QueueBench.Seen(1)))
                #expect(error.code == .retentionPassed && error.lost?.lowerBound == 10, "\(error)")
                await ledger.close()
            }

            /// Runs a pipeline until its partition stands still, and says why.
            private static func stopped(_ pipeline: Pipeline<Message>) async throws -> ResumeError {
                let isStopped = Latch()
                try await QueueBench.run(pipeline, until: isStopped) {
                    while pipeline.stoppedPartitions.isEmpty {
                        _ = await Latch().wait(atMost: .milliseconds(20), clock: ContinuousClock())
                    }
                    isStopped.open()
                }
                return try #require(pipeline.stoppedPartitions.first?.value)
            }
        }
    }
#endif
