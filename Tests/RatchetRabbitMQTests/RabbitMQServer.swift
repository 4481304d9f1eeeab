#if RabbitMQ
    import Dispatch
    import FoundationEssentials
    import RatchetRabbitMQ

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// The real server, of this process alone: started with the first use, and stopped when the process ends, however it
    /// ends.
    final class RabbitMQServer: Sendable {
        struct Failure: Error { var description: String }

        static let shared = Result { try RabbitMQServer() }

        /// The server, running.
        static func running() async throws -> RabbitMQServer {
            let server = try shared.get()
            _ = try await server.start.value
            return server
        }

        let folder: String
        let port: Int
        private let input: Int32
        private let output: Int32
        private let queue = DispatchQueue(label: "rabbitmq.server")
        private let start: Task<Void, any Error>

        private init() throws {
            folder = "/tmp/ratchet-rabbitmq-\(getpid())"
            port = try Self.freePort()
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            var (toScript, fromScript): ([Int32], [Int32]) = ([0, 0], [0, 0])
            guard pipe(&toScript) == 0, pipe(&fromScript) == 0 else {
                throw Failure(description: "no pipe: errno \(errno)")
            }
            // Whatever else is started must not keep the server's input open.
            for descriptor in toScript + fromScript { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
            (input, output) = (toScript[1], fromScript[0])
            try Self.spawn([Self.script, folder, "\(port)"], input: toScript[0], output: fromScript[1])
            close(toScript[0])
            close(fromScript[1])
            let (queue, input, output) = (queue, input, output)
            start = Task { try await Self.order("start", queue, input, output) }
        }

        /// The first of six that nobody listens at, below those that the system gives to connections.
        private static func freePort() throws -> Int {
            for _ in 0..<1_000 {
                let port = Int.random(in: 1_100...3_200) * 10
                if (port..<port + 6).allSatisfy(isFree) { return port }
            }
            throw Failure(description: "no six ports are free")
        }

        private static func isFree(_ port: Int) -> Bool {
            let socket = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            defer { close(socket) }
            // As the servers do: what is left of old connections takes no port.
            var yes: CInt = 1
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
            var place = sockaddr_in()
            place.sin_family = sa_family_t(AF_INET)
            place.sin_port = in_port_t(port).bigEndian
            // Any address: Erlang's own ports are not those of 127.0.0.1 alone.
            return withUnsafePointer(to: &place) { place in
                place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }

        private static let script = #filePath.replacing("/RatchetRabbitMQTests/RabbitMQServer.swift", with: "/rabbitmq")

        private static func spawn(_ arguments: [String], input: Int32, output: Int32) throws {
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, input, 0)
            posix_spawn_file_actions_adddup2(&actions, output, 1)
            var attributes = posix_spawnattr_t()
            posix_spawnattr_init(&attributes)
            defer { posix_spawnattr_destroy(&attributes) }
            // This thread may have signals blocked, by which the server is stopped.
            var none = sigset_t()
            sigemptyset(&none)
            posix_spawnattr_setsigmask(&attributes, &none)
            // A session of its own: an interrupt at the terminal ends the tests, and their end the server.
            let ownSession: Int16 = 0x80
            posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | ownSession)
            var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
            defer { for text in argv { free(text) } }
            var process = pid_t()
            let number = posix_spawn(&process, arguments[0], &actions, &attributes, &argv, environ)
            guard number == 0 else { throw Failure(description: "\(arguments[0]): errno \(number)") }
        }

        /// Gives an order and waits until it is done.
        func order(_ command: String) async throws { try await Self.order(command, queue, input, output) }

        private static func order(
            _ command: String,
            _ queue: DispatchQueue,
            _ input: Int32,
            _ output: Int32
        ) async throws {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                queue.async {
                    let line = command + "\n"
                    var answer = [UInt8](repeating: 0, count: 3)
                    guard write(input, line, line.utf8.count) == line.utf8.count, read(output, &answer, 3) == 3,
                        answer == Array("ok\n".utf8)
                    else {
                        let failure = Failure(description: "the server does not \(command): see standard error")
                        return continuation.resume(throwing: failure)
                    }
                    continuation.resume()
                }
            }
        }

        /// What was declared up to now outlives a crash: the server has the last seconds of it in memory only.
        func keepDeclarations() async throws { try await order("sync") }

        /// As a crash, and back.
        func crash() async throws {
            try await order("kill")
            try await order("start")
        }

        var url: String { "amqp://guest:guest@127.0.0.1:\(port)" }
        var address: RabbitMQAddress { get throws { try RabbitMQAddress(url) } }
        /// Whether packets can be dropped, rather than a relay say nothing.
        static let hasOwnNetwork = ProcessInfo.processInfo.environment["RATCHET_OWN_NETWORK"] != nil
        /// The same server through what can be cut, which has to be ordered as a relay.
        var relayedAddress: RabbitMQAddress {
            get throws { try RabbitMQAddress("amqp://guest:guest@127.0.0.1:\(port + 5)") }
        }
    }
#endif
