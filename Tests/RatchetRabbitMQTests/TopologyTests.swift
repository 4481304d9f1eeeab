#if RabbitMQ
    import RatchetRabbitMQ
    import Testing

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
        }
    }
#endif
