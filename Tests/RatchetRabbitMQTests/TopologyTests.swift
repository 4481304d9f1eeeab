#if RabbitMQ
    import RatchetRabbitMQ
    import Testing

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
