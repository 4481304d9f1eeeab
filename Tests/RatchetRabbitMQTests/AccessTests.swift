#if RabbitMQ
    import Ratchet
    import RatchetRabbitMQ
    import Testing

    extension RabbitMQ {
        @Suite struct AccessTests {
            @Test("A wrong password is refused at once, and no error has it")
            func password() async throws {
                let port = try await RabbitMQServer.running().port
                let address = try RabbitMQAddress("amqp://guest:geheim@127.0.0.1:\(port)")
                let source = try RabbitMQSubscription(to: "q", at: address, as: "g", configuration: .quick)
                let error = await #expect(throws: RabbitMQError.self) { _ = try await source.open() }
                #expect(error?.code == .accessRefused && error?.isRetriable == false)
                #expect(error.map { !"\($0)".contains("geheim") } ?? false)
                var dumped = ""
                dump(source, to: &dumped)
                #expect(!dumped.contains("geheim"))
            }

            @Test("With TLS a server is who the certificate says, or it is refused")
            func encrypted() async throws {
                let server = try await RabbitMQServer.running()
                let plain = try server.address
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue("encrypted"))
                try await topology.declare(at: plain, configuration: .quick)
                let base = "amqps://guest:guest@localhost:\(server.port + 1)"
                let trusted = try RabbitMQAddress("\(base)?cacertfile=\(server.folder)/tls/ca.pem")
                let sink = try RabbitMQSink(at: trusted, configuration: .quick)
                // More than one of TLS's own pieces, both ways.
                let large = OutgoingMessage(to: "encrypted", payload: Array(repeating: 7, count: 300_000))
                #expect(try await sink.send(OutgoingBatch([large])).isEmpty)
                await sink.close()
                let source = try RabbitMQSubscription(to: "encrypted", at: trusted, as: "g", configuration: .quick)
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
                #expect(batch[0].payload == large.payload)
                await session.close()
                // The system's certificates know nothing of this one.
                let unknown = try RabbitMQSubscription(
                    to: "encrypted",
                    at: RabbitMQAddress("\(base)?cacertfile=/etc/ssl/certs/ca-certificates.crt"),
                    as: "g",
                    configuration: .quick
                )
                await #expect(throws: RabbitMQError.self) { _ = try await unknown.open() }
            }
        }
    }
#endif
