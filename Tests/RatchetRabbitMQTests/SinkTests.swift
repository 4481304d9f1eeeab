#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        @Suite struct SinkTests {
            private static func declare(_ topology: RabbitMQTopology) async throws -> RabbitMQAddress {
                let address = try await RabbitMQServer.running().address
                try await topology.declare(at: address, configuration: .quick)
                return address
            }

            private static func topology(_ queue: RabbitMQQueue) -> RabbitMQTopology {
                var topology = RabbitMQTopology()
                topology.add(queue)
                return topology
            }

            private static func texts(_ queue: String, _ address: RabbitMQAddress) async throws -> [String] {
                try await PlainReader.contents(of: queue, at: address).map(\.text)
            }

            @Test("A full queue's nacks are failures, those of a key behind them too, and what was confirmed is there")
            func nacks() async throws {
                var queue = RabbitMQQueue("full")
                queue.maximumLength = 5
                let address = try await Self.declare(Self.topology(queue))
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                let batch = try OutgoingBatch((0..<60).map { OutgoingMessage.numbered($0, to: "full", keys: 3) })
                let failures = try await sink.send(batch)
                #expect(failures.count >= 30)
                #expect(failures.allSatisfy { ($0.error as? RabbitMQError)?.code == .nacked }, "\(failures)")
                let confirmed = (0..<60).filter { index in !failures.contains { $0.index == index } }
                #expect(try await Self.texts("full", address) == confirmed.map { "\($0)" })
                for key in 0..<3 {
                    let first = failures.first { $0.index % 3 == key }?.index ?? 60
                    #expect(confirmed.filter { $0 % 3 == key }.allSatisfy { $0 < first })
                }
                await sink.close()
            }

            @Test("A server that crashes fails what it had not confirmed; sent again, all is there, each key in order")
            func crash() async throws {
                let server = try await RabbitMQServer.running()
                let address = try await Self.declare(Self.topology(RabbitMQQueue("sink-crash", kind: .classic)))
                try await server.keepDeclarations()
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                var left = (0..<2_000).map { OutgoingMessage.numbered($0, to: "sink-crash") }
                // So that some are confirmed before.
                #expect(try await sink.send(OutgoingBatch(left.prefix(100))).isEmpty)
                left.removeFirst(100)
                let batch = try OutgoingBatch(left)
                async let first = sink.send(batch)
                try await server.crash()
                var failures = try await first
                while !failures.isEmpty {
                    left = failures.map { left[$0.index] }
                    failures = try await sink.send(OutgoingBatch(left))
                }
                await sink.close()
                let found = try await PlainReader.contents(of: "sink-crash", at: address).compactMap { Int($0.text) }
                #expect(Set(found) == Set(0..<2_000))
                for key in 0..<7 {
                    var seen: Set<Int> = []
                    let firsts = found.filter { $0 % 7 == key && seen.insert($0).inserted }
                    #expect(firsts == firsts.sorted())
                }
            }

            @Test("A transient message is gone after a restart, and a persistent one is there")
            func transient() async throws {
                let server = try await RabbitMQServer.running()
                let address = try await Self.declare(Self.topology(RabbitMQQueue("transient", kind: .classic)))
                try await server.keepDeclarations()
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                var messages = (0..<4).map { OutgoingMessage.numbered($0, to: "transient") }
                messages[1].isPersistent = false
                #expect(try await sink.send(OutgoingBatch(messages)).isEmpty)
                try await server.crash()
                let texts = try await Self.texts("transient", address)
                #expect(texts == ["0", "2", "3"])
                await sink.close()
            }

            @Test(
                "An exchange routes by topic, and what it has no queue for fails",
                arguments: [
                    RabbitMQSinkSettings.Confirmation.confirms, .transactions,
                ]
            )
            func exchange(_ confirmation: RabbitMQSinkSettings.Confirmation) async throws {
                let name = "routed-\(confirmation)"
                var topology = Self.topology(RabbitMQQueue(name))
                topology.exchanges.append(RabbitMQExchange(name, kind: .topic))
                topology.bindings.append(RabbitMQBinding(queue: name, exchange: name, routingKey: "order.*"))
                let address = try await Self.declare(topology)
                let settings = RabbitMQSinkSettings.with {
                    $0.routing = .exchange(name)
                    $0.confirmation = confirmation
                }
                let sink = try RabbitMQSink(at: address, settings: settings, configuration: .quick)
                let batch = try OutgoingBatch(
                    ["order.new", "payment.new", "order.old"].enumerated().map { .numbered($0, to: $1) }
                )
                let failures = try await sink.send(batch)
                #expect(failures.map(\.index) == [1])
                #expect((failures.first?.error as? MessageError)?.code == .unknownTopic)
                #expect(try await Self.texts(name, address) == ["0", "2"])
                await sink.close()
            }

            @Test("An exchange that is not there fails every message, and says so")
            func missingExchange() async throws {
                let address = try await RabbitMQServer.running().address
                let settings = RabbitMQSinkSettings.with { $0.routing = .exchangeByKey("nowhere") }
                let sink = try RabbitMQSink(at: address, settings: settings, configuration: .quick)
                let failures = try await sink.send(OutgoingBatch([.numbered(0, to: "q"), .numbered(1, to: "q")]))
                #expect(failures.map { ($0.error as? RabbitMQError)?.code } == [.notFound, .notFound])
                await sink.close()
            }

            @Test("A server that takes no messages fails them after their time, and takes them once it is well again")
            func alarm() async throws {
                let server = try await RabbitMQServer.running()
                let address = try await Self.declare(Self.topology(RabbitMQQueue("alarm")))
                let sink = try RabbitMQSink(
                    at: address,
                    settings: .with { $0.timeout = .seconds(2) },
                    configuration: .quick
                )
                let batch = try OutgoingBatch((0..<10).map { .numbered($0, to: "alarm", keys: 10) })
                try await server.order("alarm memory")
                let failures = try await sink.send(batch)
                #expect(failures.map { ($0.error as? RabbitMQError)?.code } == Array(repeating: .timedOut, count: 10))
                try await server.order("calm")
                var left = failures
                while !left.isEmpty { left = try await sink.send(batch) }
                // What was on its way when the server stopped reading comes first, and again.
                #expect(Set(try await Self.texts("alarm", address)) == Set((0..<10).map { "\($0)" }))
                await sink.close()
            }

            @Test("A send that is cancelled ends, and a sink that is closed sends nothing")
            func ends() async throws {
                let server = try await RabbitMQServer.running()
                let address = try await Self.declare(Self.topology(RabbitMQQueue("ends")))
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                #expect(try await sink.send(OutgoingBatch([.numbered(0, to: "ends")])).isEmpty)
                try await server.order("pause")
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        await #expect(throws: CancellationError.self) {
                            try await sink.send(OutgoingBatch([.numbered(1, to: "ends")]))
                        }
                    }
                    group.cancelAll()
                }
                try await server.order("resume")
                await sink.close()
                let error = await #expect(throws: RabbitMQError.self) {
                    try await sink.send(OutgoingBatch([.numbered(2, to: "ends")]))
                }
                #expect(error?.code == .closed)
            }
        }
    }
#endif
