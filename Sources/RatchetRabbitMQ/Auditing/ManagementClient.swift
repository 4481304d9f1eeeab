#if RabbitMQ
    import FoundationEssentials
    import Ratchet

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// Asks a server's management API, by HTTP and without TLS. Blocks the thread: for the timeout at the most to connect to
    /// each of the host's addresses, for as long to write, and for twice as long until the answer has ended.
    struct ManagementClient: Sendable {
        /// No answer is longer.
        private static let longestAnswer = 8 << 20

        let address: RabbitMQAddress
        let port: Int
        let timeout: Duration
        var time = TimeSource.system

        /// What is at a path, which is encoded already. Throws ``RabbitMQError``, without the password.
        func get(_ path: String) throws -> JSON { try json(of: exchange(request(path)), at: path) }

        /// What an answer says. Throws ``RabbitMQError``.
        func json(of answer: [UInt8], at path: String) throws(RabbitMQError) -> JSON {
            guard let end = answer.firstRange(of: Array("\r\n\r\n".utf8)) else {
                throw failure("its answer has no end")
            }
            let status = String(decoding: answer.prefix(64), as: UTF8.self).split(separator: " ").dropFirst().first
            switch status {
            case "200": break
            case "401", "403": throw RabbitMQError(.accessRefused, "\(name) refuses '\(address.user)'")
            case "404": throw RabbitMQError(.notFound, "\(name) does not know \(path)")
            default: throw failure("it answers with status \(status ?? "none")")
            }
            do {
                return try JSONDecoder().decode(JSON.self, from: Data(answer[end.upperBound...]))
            } catch {
                throw failure("its answer is no JSON")
            }
        }

        private var name: String { "the management API at \(address.host):\(port)" }

        private func failure(_ detail: String) -> RabbitMQError {
            RabbitMQError(.disconnected, "\(name): \(detail)")
        }

        private func request(_ path: String) -> [UInt8] {
            let credentials = Data("\(address.user):\(address.password)".utf8).base64EncodedString()
            let lines = [
                "GET \(path) HTTP/1.0", "Host: \(address.host)", "Authorization: Basic \(credentials)",
                "Accept: application/json", "Connection: close", "", "",
            ]
            return Array(lines.joined(separator: "\r\n").utf8)
        }

        private func exchange(_ request: [UInt8]) throws -> [UInt8] {
            let socket = try connect()
            defer { close(socket) }
            var sent = 0
            while sent < request.count {
                let count = request[sent...].withUnsafeBytes {
                    send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw failure("it cannot be written to: errno \(errno)") }
                sent += count
            }
            var (answer, piece): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 65_536))
            // Each piece may come just before the socket gives up.
            let limit = time.monotonic() + timeout.nanoseconds
            while true {
                guard time.monotonic() < limit else { throw failure("its answer does not end within \(timeout)") }
                let count = recv(socket, &piece, piece.count, 0)
                guard count >= 0 else { throw failure("it does not answer: errno \(errno)") }
                if count == 0 { return answer }
                answer += piece[..<count]
                guard answer.count <= Self.longestAnswer else { throw failure("its answer is too long") }
            }
        }

        private func connect() throws -> CInt {
            var hints = addrinfo()
            hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
            var found: UnsafeMutablePointer<addrinfo>?
            guard getaddrinfo(address.host, "\(port)", &hints, &found) == 0 else {
                throw failure("its host is not known")
            }
            defer { freeaddrinfo(found) }
            var limit = timeval(timeout)
            var next = found
            while let place = next?.pointee {
                let socket = socket(place.ai_family, place.ai_socktype, 0)
                guard socket >= 0 else { throw failure("no socket: errno \(errno)") }
                for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
                    setsockopt(socket, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
                }
                if Glibc.connect(socket, place.ai_addr, place.ai_addrlen) == 0 { return socket }
                close(socket)
                next = place.ai_next
            }
            throw failure("it cannot be reached")
        }
    }
#endif
