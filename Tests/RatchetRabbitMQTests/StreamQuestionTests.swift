#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// What a stream's server is asked, and what its messages say.
        @Suite struct StreamQuestionTests {
            @Test("A message keeps its key, payload and headers, which the server sorts by their names")
            func headers() async throws {
                let address = try await StreamBench.declare("stream-headers")
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
                try await StreamBench.produce(0..<1, "no-stream", address)
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

            @Test("No publisher forges an offset, nor how often its message was delivered")
            func forged() async throws {
                let address = try await StreamBench.declare("stream-forged")
                let name = MessageProperties.streamOffsetHeader
                for values in [[.number(7)], [.number(7), .number(8)], [.text("7"), .number(8)]] as [[FieldTable.Value]]
                {
                    var headers = FieldTable()
                    for value in values { headers.append(name, value) }
                    try await PlainProducer.send(["m"], with: headers, to: "stream-forged", at: address)
                }
                let found = try await PlainReader.contents(ofStream: "stream-forged", at: address)
                #expect(found.map(\.offset) == [0, 1, 2] && found.allSatisfy { $0.headers.count == 1 }, "\(found)")
                for kind in [RabbitMQQueue.Kind.quorum, .classic] {
                    var topology = RabbitMQTopology()
                    topology.add(RabbitMQQueue("forged-\(kind)", kind: kind))
                    try await topology.declare(at: address, configuration: .quick)
                    var headers = FieldTable()
                    headers.append(MessageProperties.countHeader, .number(1_000))
                    try await PlainProducer.send(["m"], with: headers, to: "forged-\(kind)", at: address)
                    let source = try RabbitMQSubscription(
                        to: "forged-\(kind)",
                        at: address,
                        as: "g",
                        configuration: .quick
                    )
                    let session = try await source.open()
                    guard case .assigned(let assignments) = try await session.next() else {
                        Issue.record("nothing was assigned")
                        return
                    }
                    try await session.start(assignments[0].partition, at: 1, generation: assignments[0].generation)
                    guard case .messages(let batch) = try await session.next() else {
                        Issue.record("nothing was delivered")
                        return
                    }
                    #expect(batch[0].deliveryCount == 1, "\(kind)")
                    await session.close()
                }
            }

            @Test("A generation is above the last one, however far ahead that one's clock was, and the position stays")
            func generations() async throws {
                let address = try await StreamBench.declare("stream-generations")
                let source = try RabbitMQStreamSubscription(
                    to: "stream-generations",
                    at: address,
                    as: "g",
                    configuration: .quick
                )
                // A session makes the queue of the positions.
                try await source.open().close()
                let queue = "ratchet.positions.g.stream-generations"
                let old: Int64 = 1 << 60
                try await PlainProducer.send(["0 \(old) of whom"], with: FieldTable(), to: queue, at: address)
                var last = old
                for _ in 0..<2 {
                    let session = try await source.open()
                    guard case .assigned(let assignments) = try await session.next() else {
                        Issue.record("nothing was assigned")
                        return
                    }
                    #expect(assignments[0].generation > last)
                    #expect(assignments[0].committed == CommittedOffset(offset: 0, metadata: "of whom"))
                    last = assignments[0].generation
                    await session.close()
                }
                // As another process, or another machine, finds it.
                let kept = try await PlainReader.contents(of: queue, at: address).map(\.text)
                #expect(kept == ["0 \(last) of whom"])
            }

            @Test("Many streams that are empty are asked at once")
            func manyEmpty() async throws {
                let address = try await RabbitMQServer.running().address
                let streams = (0..<20).map { "stream-empty-\($0)" }
                var topology = RabbitMQTopology()
                for stream in streams { topology.add(RabbitMQQueue(stream, kind: .stream)) }
                try await topology.declare(at: address, configuration: .quick)
                try await StreamBench.produce(0..<3, streams[7], address)
                let source = try RabbitMQStreamSubscription(
                    to: streams,
                    at: address,
                    as: "g",
                    emptyAfter: .seconds(2),
                    configuration: .quick
                )
                let start = ContinuousClock.now
                let session = try await source.open()
                // One after the other they take 80 s.
                #expect(start.duration(to: .now) < .seconds(40))
                for stream in streams {
                    guard case .assigned(let assignments) = try await session.next() else {
                        Issue.record("nothing was assigned")
                        return
                    }
                    #expect(assignments.map(\.partition.topic) == [stream])
                    #expect(assignments.map(\.log) == [stream == streams[7] ? 0..<3 : 0..<0])
                }
                await session.close()
            }

            @Test("While the server is away a message is waited for, not taken to be gone")
            func awayWhileReading() async throws {
                let (server, stream) = (try await RabbitMQServer.running(), "stream-away")
                let address = try await StreamBench.declare(stream)
                try await StreamBench.produce(0..<3, stream, address)
                try await server.keepDeclarations()
                let retries = LogListener("a stream's question is asked again later")
                var configuration = RabbitMQConfiguration.quick
                configuration.logger = retries.logger
                configuration.timeout = .seconds(2)
                let source = try RabbitMQStreamSubscription(
                    to: stream,
                    at: address,
                    as: "g",
                    configuration: configuration
                )
                let session = try await source.open()
                guard case .assigned(let assignments) = try await session.next() else {
                    Issue.record("nothing was assigned")
                    return
                }
                let isInVain = retries.next()
                try await server.order("pause")
                async let message = session.message(at: 1, of: assignments[0].partition)
                await isInVain.wait()
                try await server.order("resume")
                #expect(try await message?.text == "1")
                await session.close()
            }
        }
    }
#endif
