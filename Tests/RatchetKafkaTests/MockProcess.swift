#if Kafka
    import Synchronization

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #elseif canImport(Darwin)
        import Darwin
    #endif

    private func unistdPipe(_ descriptors: inout [Int32]) -> Int32 { pipe(&descriptors) }

    /// A running `kafka-mock`, which ends with this process at the latest.
    final class MockProcess: Sendable {
        struct Failure: Error, CustomStringConvertible { let description: String }

        /// The brokers' addresses.
        let servers: String
        /// One of them.
        var server: Substring { servers.prefix { $0 != "," } }
        private let process: pid_t
        /// The descriptors to it and from it.
        private let pipe: Mutex<(input: Int32, output: Int32)>

        init(brokers: Int = 3) throws {
            let path = Shell.path(of: "kafka-mock")
            var (input, output): ([Int32], [Int32]) = ([0, 0], [0, 0])
            guard unistdPipe(&input) == 0, unistdPipe(&output) == 0 else { throw Failure(description: "no pipe") }
            // Its ends here are not for other programs: it would not hear of this one's end.
            for descriptor in input + output { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, input[0], 0)
            posix_spawn_file_actions_adddup2(&actions, output[1], 1)
            var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), strdup("\(brokers)"), nil]
            defer { for argument in arguments { free(argument) } }
            var process = pid_t()
            guard posix_spawn(&process, path, &actions, nil, &arguments, environ) == 0 else {
                throw Failure(description: "\(path) cannot be started")
            }
            close(input[0])
            close(output[1])
            self.process = process
            servers = Self.line(from: output[0])
            pipe = Mutex((input[1], output[0]))
            guard servers.contains(":") else { throw Failure(description: "the mock cluster says '\(servers)'") }
        }

        deinit {
            pipe.withLock { pipe in
                close(pipe.input)
                close(pipe.output)
            }
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }

        /// Has it do something; see `kafka-mock`.
        func tell(_ command: String) throws {
            let answer = pipe.withLock { pipe in
                let line = Array((command + "\n").utf8)
                guard write(pipe.input, line, line.count) == line.count else { return "no answer" }
                return Self.line(from: pipe.output)
            }
            guard answer == "ok" else { throw Failure(description: "'\(command)': \(answer)") }
        }

        private static func line(from descriptor: Int32) -> String {
            var line: [UInt8] = []
            var byte: UInt8 = 0
            while read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
            return String(decoding: line, as: UTF8.self)
        }
    }
#endif
