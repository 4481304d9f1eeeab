#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// What streams do beside what the conformance suite asks of every log.
        @Suite struct StreamTests {
            @Test("The server dies while a pipeline runs: it goes on where the ledger is, each effect once")
            func crashes() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-crashes")
                let address = try await StreamBench.declare(stream)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let producer = try RabbitMQSink(at: address, configuration: .quick)
                let seen = QueueBench.Seen(600)
                let pipeline = try StreamBench.pipeline(stream, address, ledger, seen)
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
                let address = try await StreamBench.declare(stream)
                try await StreamBench.produce(0..<100, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                for numbers in [0..<100, 100..<150] {
                    if numbers.lowerBound > 0 { try await StreamBench.produce(numbers, stream, address) }
                    let seen = QueueBench.Seen(numbers.count)
                    let pipeline = try StreamBench.pipeline(stream, address, ledger, seen)
                    try await QueueBench.run(pipeline, until: seen.all) {}
                    // Nothing was delivered a second time: it did not begin before its position.
                    #expect(pipeline.statistics.delivered == numbers.count)
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<150))
                let other = try QueueBench.ledger("\(stream)-other", in: server.folder)
                let stranger = try StreamBench.pipeline(stream, address, other, QueueBench.Seen(1))
                let error = try await StreamBench.stopped(stranger)
                #expect(error.code == .foreignLedger)
                for ledger in [ledger, other] { await ledger.close() }
            }

            @Test("A stream that is made anew has other messages under its offsets: the partition stops")
            func madeAnew() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-made-anew")
                let address = try await StreamBench.declare(stream)
                try await StreamBench.produce(0..<10, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let seen = QueueBench.Seen(10)
                try await QueueBench.run(try StreamBench.pipeline(stream, address, ledger, seen), until: seen.all) {}
                try await Asking.connected(to: address, .quick) { try $0.deleteQueue(stream) }
                _ = try await StreamBench.declare(stream)
                try await StreamBench.produce(100..<120, stream, address)
                let error = try await StreamBench.stopped(
                    try StreamBench.pipeline(stream, address, ledger, QueueBench.Seen(1))
                )
                #expect(error.code == .offsetsReused)
                await ledger.close()
            }

            @Test("What others publish without a date is known again when it is read again")
            func undated() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-undated")
                let address = try await StreamBench.declare(stream)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                for texts in [["a", "b"], ["c"]] {
                    try await PlainProducer.send(texts, with: FieldTable(), to: stream, at: address)
                    let seen = QueueBench.Seen(texts.count)
                    let pipeline = try StreamBench.pipeline(stream, address, ledger, seen)
                    try await QueueBench.run(pipeline, until: seen.all) {}
                    #expect(pipeline.statistics.delivered == texts.count && pipeline.stoppedPartitions.isEmpty)
                }
                #expect(try QueueBench.counts(ledger) == ["a": 1, "b": 1, "c": 1])
                await ledger.close()
            }

            @Test("An operator's reset stops the partition, and what is no position is refused with the queue's name")
            func positions() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-positions")
                let address = try await StreamBench.declare(stream)
                try await StreamBench.produce(0..<10, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let seen = QueueBench.Seen(10)
                try await QueueBench.run(try StreamBench.pipeline(stream, address, ledger, seen), until: seen.all) {}
                let queue = "ratchet.positions.g.\(stream)"
                #expect(try await PlainReader.contents(of: queue, at: address).count == 1)
                try await PlainProducer.send(["4"], with: FieldTable(), to: queue, at: address)
                let reset = try await StreamBench.stopped(
                    try StreamBench.pipeline(stream, address, ledger, QueueBench.Seen(1))
                )
                #expect(reset.code == .reset)
                try await PlainProducer.send(["four"], with: FieldTable(), to: queue, at: address)
                let source = try RabbitMQStreamSubscription(to: stream, at: address, as: "g", configuration: .quick)
                let error = await #expect(throws: RabbitMQError.self) { _ = try await source.open() }
                #expect(error?.code == .mismatch && error?.detail.contains(queue) ?? false)
                await ledger.close()
            }
        }
    }
#endif
