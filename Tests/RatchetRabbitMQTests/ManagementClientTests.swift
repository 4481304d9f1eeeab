#if RabbitMQ
    import Glibc
    import Ratchet
    import Synchronization
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct ManagementClientTests {
        @Test("A server whose answer comes in drops is given up at the timeout")
        func drops() async throws {
            let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            defer { close(listener) }
            let port = try Self.listen(listener)
            // A second goes by between two looks at the clock.
            let seconds = Atomic<Int64>(0)
            let time = TimeSource(
                wall: { 0 },
                monotonic: { seconds.add(1, ordering: .relaxed).newValue * 1_000_000_000 }
            )
            let address = try RabbitMQAddress("amqp://127.0.0.1")
            let client = ManagementClient(address: address, port: port, timeout: .seconds(3), time: time)
            async let answer = client.get("/api/overview")
            let connection = accept(listener, nil, nil)
            defer { close(connection) }
            // As much as the client takes: it ends the connection when it has given up.
            while send(connection, "H", 1, CInt(MSG_NOSIGNAL)) == 1 {}
            do {
                _ = try await answer
                Issue.record("an answer without an end was taken")
            } catch let error as RabbitMQError {
                #expect(error.detail.contains("does not end within"), "\(error)")
            }
        }

        private static func listen(_ listener: CInt) throws -> Int {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isListening = withUnsafeMutablePointer(to: &address) { address in
                address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(listener, address, length) == 0 && Glibc.listen(listener, 1) == 0
                        && getsockname(listener, address, &length) == 0
                }
            }
            try #require(isListening)
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
#endif
