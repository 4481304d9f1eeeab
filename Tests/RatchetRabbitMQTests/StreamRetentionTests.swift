#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// Offsets that a stream does not have, or no longer.
        @Suite struct StreamRetentionTests {
            @Test("What retention has removed is not skipped in silence: the partition stops and says what is lost")
            func retention() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-retention")
                let address = try await StreamBench.declareSegmented(stream, keeping: 20_000)
                try await StreamBench.produce(0..<10, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let seen = QueueBench.Seen(10)
                try await QueueBench.run(try StreamBench.pipeline(stream, address, ledger, seen), until: seen.all) {}
                for _ in 0..<20 { try await StreamBench.produce(0..<200, stream, address) }
                let error = try await StreamBench.stopped(
                    try StreamBench.pipeline(stream, address, ledger, QueueBench.Seen(1))
                )
                #expect(error.code == .retentionPassed && error.lost?.lowerBound == 10, "\(error)")
                await ledger.close()
            }

            @Test("Offsets that the server uses up itself, as with each new segment, are no loss: all are processed")
            func segments() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-segments")
                let address = try await StreamBench.declareSegmented(stream, keeping: nil)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                for round in 0..<2 {
                    let numbers = round * 500..<(round + 1) * 500
                    for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 50) {
                        try await StreamBench.produce(start..<start + 50, stream, address)
                    }
                    let seen = QueueBench.Seen(numbers.count)
                    let pipeline = try StreamBench.pipeline(stream, address, ledger, seen)
                    try await QueueBench.run(pipeline, until: seen.all) {}
                    #expect(pipeline.statistics.delivered == numbers.count)
                    #expect(pipeline.stoppedPartitions.isEmpty)
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<1_000))
                // There are such offsets.
                let last = try #require(try await PlainReader.contents(ofStream: stream, at: address).last)
                #expect(last.offset > 999)
                await ledger.close()
            }

            @Test("A pipeline that keeps up is not stopped by a stream that keeps its last segment alone")
            func keepingUp() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-keeping-up")
                let address = try await StreamBench.declareSegmented(stream, keeping: 1)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let seen = QueueBench.Seen(1_000)
                let pipeline = try StreamBench.pipeline(stream, address, ledger, seen)
                try await QueueBench.run(pipeline, until: seen.all) {
                    for start in stride(from: 0, to: 1_000, by: 20) {
                        try await StreamBench.produce(start..<start + 20, stream, address)
                        // Or it stands still.
                        while pipeline.statistics.delivered < start + 20, pipeline.stoppedPartitions.isEmpty {
                            _ = await Latch().wait(atMost: .milliseconds(5), clock: ContinuousClock())
                        }
                        try #require(pipeline.stoppedPartitions.isEmpty)
                    }
                }
                #expect(try QueueBench.counts(ledger) == QueueBench.once(0..<1_000))
                // Of a segment that is full nothing is left once there is a new one, which has none of them at first.
                var (first, next) = (Message?.none, 1_000)
                while first == nil {
                    try await StreamBench.produce(next..<next + 3, stream, address)
                    first = try await PlainReader.contents(ofStream: stream, at: address).first
                    next += 3
                }
                #expect(first.map { $0.offset > 900 } ?? false)
                await ledger.close()
            }

            @Test(
                "What retention removes under a pipeline stops it, or is counted, once what was delivered is done",
                arguments: [ResumePolicy.OutOfRange.fail, .earliest]
            )
            func overtaken(_ outOfRange: ResumePolicy.OutOfRange) async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-overtaken-\(outOfRange)")
                let address = try await StreamBench.declareSegmented(stream, keeping: 20_000)
                try await StreamBench.produce(0..<20, stream, address)
                let ledger = try QueueBench.ledger(stream, in: server.folder)
                let (goesOn, isOver) = (Latch(), Latch())
                let pipeline = try StreamBench.pipeline(
                    stream,
                    address,
                    ledger,
                    QueueBench.Seen(.max),
                    prefetch: 1,
                    inFlight: 8,
                    outOfRange: outOfRange
                ) { text in
                    await goesOn.wait()
                    if text == "1999" { isOver.open() }
                }
                try await QueueBench.run(pipeline, until: isOver) {
                    while pipeline.statistics.delivered == 0 {
                        _ = await Latch().wait(atMost: .milliseconds(5), clock: ContinuousClock())
                    }
                    for start in stride(from: 20, to: 2_000, by: 20) {
                        try await StreamBench.produce(start..<start + 20, stream, address)
                    }
                    goesOn.open()
                    guard outOfRange == .fail else { return }
                    while pipeline.stoppedPartitions.isEmpty {
                        _ = await Latch().wait(atMost: .milliseconds(5), clock: ContinuousClock())
                    }
                    isOver.open()
                }
                let counts = try QueueBench.counts(ledger)
                let next = try #require((0..<2_000).first { counts["\($0)"] == nil })
                #expect(next >= 20 && counts.values.allSatisfy { $0 == 1 })
                switch outOfRange {
                case .fail:
                    let error = try #require(pipeline.stoppedPartitions.first?.value)
                    // With an offset for each segment.
                    let lost = try #require(error.lost)
                    #expect(error.code == .retentionPassed && lost.lowerBound >= next && !lost.isEmpty)
                    #expect(counts == QueueBench.once(0..<next))
                case .earliest, .latest:
                    #expect(pipeline.statistics.lost > 0 && counts["1999"] == 1)
                }
                await ledger.close()
            }
        }
    }
#endif
