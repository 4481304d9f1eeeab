#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        @Suite struct LateConfirmTests {
            @Test("A channel that has not confirmed in time is given up: the next batch goes by another connection")
            func givenUp() async throws {
                let server = try await RabbitMQServer.running()
                let address = try await StreamBench.declare("late-confirms")
                let losses = LogListener("connection lost, made again with the next batch")
                let isLost = losses.next()
                var configuration = RabbitMQConfiguration.quick
                configuration.logger = losses.logger
                // Not by its heartbeats.
                configuration.heartbeat = .seconds(600)
                let sink = try RabbitMQSink(
                    at: address,
                    settings: .with { $0.timeout = .seconds(2) },
                    configuration: configuration
                )
                while try await !sink.send(OutgoingBatch([.numbered(0, to: "late-confirms")])).isEmpty {}
                try await server.order("pause")
                let failures = try await sink.send(OutgoingBatch([.numbered(1, to: "late-confirms")]))
                #expect(failures.map { ($0.error as? RabbitMQError)?.code } == [.timedOut])
                #expect(await isLost.wait(atMost: .seconds(30), clock: ContinuousClock()))
                try await server.order("resume")
                while try await !sink.send(OutgoingBatch([.numbered(2, to: "late-confirms")])).isEmpty {}
                let texts = try await PlainReader.contents(ofStream: "late-confirms", at: address).map(\.text)
                // What was not confirmed in time may be there or not.
                #expect(texts.filter { $0 != "1" }.last == "2" && texts.first == "0", "\(texts)")
                await sink.close()
            }
        }
    }
#endif
