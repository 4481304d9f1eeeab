#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct DeliveryLimitTests {
        @Test("A delivery limit without a dead-letter exchange is refused before anything is made")
        func refused() async throws {
            // Nobody answers there.
            let address = try RabbitMQAddress("amqp://127.0.0.1:1")
            var queue = RabbitMQQueue("limited")
            queue.deliveryLimit = 20
            var topology = RabbitMQTopology()
            topology.add(queue)
            let error = await #expect(throws: RabbitMQError.self) { try await topology.declare(at: address) }
            #expect(error?.code == .invalidArgument && error?.detail.contains("deadLetterExchange") ?? false)
            topology = RabbitMQTopology()
            topology.add(queue, deadLetters: "limited.dead")
            let other = await #expect(throws: RabbitMQError.self) { try await topology.declare(at: address) }
            #expect(other?.code == .disconnected)
        }
    }

    extension RabbitMQ {
        @Suite struct TopologyTests {
            @Test("What is there is compared and never changed; what is missing is named, and made")
            func declaring() async throws {
                let address = try await RabbitMQServer.running().address
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue("compared"), deadLetters: "compared.dead")
                let names = ["compared.dead", "compared.dead", "compared"]
                #expect(try await topology.missing(at: address, configuration: .quick) == names)
                for _ in 0..<2 { try await topology.declare(at: address, configuration: .quick) }
                #expect(try await topology.missing(at: address, configuration: .quick) == [])
                topology.queues[1].maximumLength = 3
                for isDeclared in [true, false] {
                    let error = await #expect(throws: RabbitMQError.self) {
                        if isDeclared {
                            try await topology.declare(at: address, configuration: .quick)
                        } else {
                            _ = try await topology.missing(at: address, configuration: .quick)
                        }
                    }
                    #expect(error?.code == .mismatch)
                    #expect(error?.detail.contains("compared") ?? false, "\(String(describing: error))")
                }
            }

            @Test("By a consistent-hash exchange all messages of a key meet in one queue, and each is in one alone")
            func byKey() async throws {
                let address = try await RabbitMQServer.running().address
                let queues = ["by-key-1", "by-key-2"]
                var topology = RabbitMQTopology()
                topology.exchanges.append(RabbitMQExchange("by-key", kind: .consistentHash))
                for queue in queues {
                    topology.add(RabbitMQQueue(queue))
                    topology.bindings.append(RabbitMQBinding(queue: queue, exchange: "by-key", routingKey: "1"))
                }
                try await topology.declare(at: address, configuration: .quick)
                let settings = RabbitMQSinkSettings.with { $0.routing = .exchangeByKey("by-key") }
                let sink = try RabbitMQSink(at: address, settings: settings, configuration: .quick)
                let messages = (0..<200).map { OutgoingMessage.numbered($0, to: "orders", keys: 40) }
                #expect(try await sink.send(OutgoingBatch(messages)).isEmpty)
                await sink.close()
                var keys: [Set<String>] = []
                var texts: [String] = []
                for queue in queues {
                    let found = try await PlainReader.contents(of: queue, at: address)
                    keys.append(Set(found.map { String(decoding: $0.key ?? [], as: UTF8.self) }))
                    texts += found.map(\.text)
                }
                #expect(keys.allSatisfy { !$0.isEmpty } && keys[0].isDisjoint(with: keys[1]), "\(keys)")
                #expect(texts.sorted() == (0..<200).map { "\($0)" }.sorted())
            }
        }
    }
#endif
