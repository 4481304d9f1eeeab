#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    extension RabbitMQ {
        /// Batches that a sink gives up while a server takes nothing.
        @Suite struct GivenUpTests {
            private static func queue(_ name: String) async throws -> RabbitMQServer {
                let server = try await RabbitMQServer.running()
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(name))
                try await topology.declare(at: try server.address, configuration: .quick)
                return server
            }

            @Test(
                "A transaction that is given up half published is none: the next one commits its own messages alone",
                arguments: [false, true]
            )
            func transactions(_ isCancelled: Bool) async throws {
                let name = "given-up-\(isCancelled)"
                let server = try await Self.queue(name)
                let refusal = LogListener("the server takes no messages")
                let blocked = refusal.next()
                var configuration = RabbitMQConfiguration.quick
                configuration.logger = refusal.logger
                let settings = RabbitMQSinkSettings.with {
                    $0.confirmation = .transactions
                    if !isCancelled { $0.timeout = .seconds(5) }
                }
                let sink = try RabbitMQSink(at: try server.address, settings: settings, configuration: configuration)
                #expect(try await sink.send(OutgoingBatch([.numbered(0, to: name)])).isEmpty)
                try await server.order("alarm memory")
                // The server says that it takes none when it is sent the first of them, long before the last.
                let batch = try OutgoingBatch((100..<20_000).map { .numbered($0, to: name) })
                let sending = Task { try await sink.send(batch) }
                await blocked.wait()
                if isCancelled {
                    sending.cancel()
                    await #expect(throws: CancellationError.self) { try await sending.value }
                } else {
                    #expect(try await sending.value.count == batch.count)
                }
                try await server.order("calm")
                while try await !sink.send(OutgoingBatch([.numbered(1, to: name)])).isEmpty {}
                #expect(try await PlainReader.contents(of: name, at: try server.address).map(\.text) == ["0", "1"])
                await sink.close()
            }

            private enum Ending: CaseIterable { case timeout, cancel, close }

            @Test(
                "Messages of some MB that the server does not read hold nobody up: timeout, cancel and close end the send",
                arguments: Ending.allCases
            )
            private func large(_ ending: Ending) async throws {
                let name = "unread-\(ending)"
                let server = try await Self.queue(name)
                let refusal = LogListener("the server takes no messages")
                let blocked = refusal.next()
                var configuration = RabbitMQConfiguration.quick
                configuration.logger = refusal.logger
                let sink = try RabbitMQSink(
                    at: try server.address,
                    settings: .with { $0.timeout = .seconds(ending == .timeout ? 3 : 300) },
                    configuration: configuration
                )
                #expect(try await sink.send(OutgoingBatch([.numbered(0, to: name)])).isEmpty)
                try await server.order("alarm memory")
                // One is more than the system keeps for both ends of a connection.
                let payload = Array(repeating: UInt8(7), count: 16 << 20)
                let batch = try OutgoingBatch((0..<2).map { _ in OutgoingMessage(to: name, payload: payload) })
                let begun = ContinuousClock.now
                let sending = Task { try await sink.send(batch) }
                // Begun, and as much written as goes: the server says nothing of it.
                if ending != .timeout { _ = await blocked.wait(atMost: .seconds(2), clock: ContinuousClock()) }
                switch ending {
                case .timeout:
                    let failures = try await sending.value
                    #expect(failures.map { ($0.error as? RabbitMQError)?.code } == [.timedOut, .timedOut])
                case .cancel:
                    sending.cancel()
                    await #expect(throws: CancellationError.self) { try await sending.value }
                case .close: break
                }
                await sink.close()
                if ending == .close { #expect(try await sending.value.count == 2) }
                #expect(ContinuousClock.now - begun < .seconds(20))
                try await server.order("calm")
            }

            @Test("A send ends in its time though the server is not even reached")
            func unreachable() async throws {
                let server = try await Self.queue("unreachable")
                // Connections are taken, and nothing is ever said.
                try await server.order("pause")
                let sink = try RabbitMQSink(
                    at: try server.address,
                    settings: .with { $0.timeout = .seconds(1) },
                    configuration: .quick
                )
                let begun = ContinuousClock.now
                let failures = try await sink.send(OutgoingBatch([.numbered(0, to: "unreachable")]))
                #expect(failures.map { ($0.error as? RabbitMQError)?.code } == [.timedOut])
                #expect(ContinuousClock.now - begun < .seconds(10))
                try await server.order("resume")
                await sink.close()
            }
        }
    }
#endif
