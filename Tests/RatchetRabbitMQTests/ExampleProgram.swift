#if RabbitMQ
    import Dispatch
    import FoundationEssentials
    import Ratchet
    import Synchronization

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// A run of an example, as a program of its own.
    final class ExampleProgram: Sendable {
        struct End: Sendable {
            /// Its exit code; nil after a signal.
            let code: Int32?
            let output: String
            let errors: String
        }

        private let process: pid_t
        private let file: String
        private let status = Mutex<Int32?>(nil)
        private let ended = Latch()

        /// Starts it; what it writes goes to `file` with `.output` and `.errors` behind.
        init(_ program: String, _ arguments: [String], writingTo file: String) throws {
            let tests = CommandLine.arguments[0]
            let path = (tests.lastIndex(of: "/").map { String(tests[...$0]) } ?? "./") + program
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            for (descriptor, kind) in [(1, "output"), (2, "errors")] as [(Int32, String)] {
                posix_spawn_file_actions_addopen(
                    &actions,
                    descriptor,
                    "\(file).\(kind)",
                    O_WRONLY | O_CREAT | O_TRUNC,
                    0o600
                )
            }
            var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
            defer { for text in argv { free(text) } }
            var process = pid_t()
            let number = posix_spawn(&process, path, &actions, nil, &argv, environ)
            guard number == 0 else { throw RabbitMQServer.Failure(description: "\(path): errno \(number)") }
            self.process = process
            self.file = file
            // A thread of its own: it blocks.
            DispatchQueue(label: "example.wait").async { [self, process] in
                var status: Int32 = 0
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                self.status.withLock { $0 = status }
                ended.open()
            }
        }

        var isOver: Bool { ended.isOpen }

        /// As the operating system does, without a word.
        func kill() { if !isOver { _ = Glibc.kill(process, SIGKILL) } }

        /// Waits for its end.
        func end() async throws -> End {
            await ended.wait()
            let status = status.withLock { $0 } ?? 0
            return End(
                code: status & 0x7F == 0 ? status >> 8 & 0xFF : nil,
                output: try Self.read("\(file).output"),
                errors: try Self.read("\(file).errors")
            )
        }

        private static func read(_ path: String) throws -> String {
            String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        }
    }
#endif
