#if RabbitMQ
    import LMDB
    import Ratchet
    import Synchronization
    import Testing

    @testable import RatchetRabbitMQ

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    @Suite struct ManagementClientTests {
        @Test("A server whose answer comes in drops is given up at the timeout")
        func drops() throws {
            let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            defer { close(listener) }
            let port = try Self.port(of: listener)
            // A second goes by between two looks at the clock.
            let seconds = Atomic<Int64>(0)
            let time = TimeSource(
                wall: { 0 },
                monotonic: { seconds.add(1, ordering: .relaxed).newValue * 1_000_000_000 }
            )
            let address = try RabbitMQAddress("amqp://127.0.0.1")
            let client = ManagementClient(address: address, port: port, timeout: .seconds(3), time: time)
            // A thread of its own: both sides block theirs.
            Platform.startThread(name: "drops") {
                let connection = accept(listener, nil, nil)
                // As much as the client takes: it ends the connection when it has given up.
                while send(connection, "H", 1, CInt(MSG_NOSIGNAL)) == 1 {}
                close(connection)
            }
            let error = #expect(throws: RabbitMQError.self) { try client.get("/api/overview") }
            #expect(error?.detail.contains("does not end within") == true, "\(error as RabbitMQError?)")
        }

        /// Where it listens from now on.
        private static func port(of listener: CInt) throws -> Int {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isListening = withUnsafeMutablePointer(to: &address) { address in
                address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(listener, address, length) == 0 && listen(listener, 1) == 0
                        && getsockname(listener, address, &length) == 0
                }
            }
            try #require(isListening)
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
#endif
