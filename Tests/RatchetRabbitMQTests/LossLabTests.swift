#if RabbitMQ
    import Dispatch
    import FoundationEssentials
    import Testing

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    extension RabbitMQ {
        /// The example `loss-lab` with a real broker.
        @Suite struct LossLabTests {
            private struct Cell: Decodable, Hashable {
                var sent = messages
                var acknowledged = messages
                var effects = messages
                var lost = 0
                var twice = 0
                var unknown = 0
            }

            private struct Row: Decodable, Hashable {
                let experiment: String
                var leak = Cell()
                var cure = Cell()
            }

            private static let messages = 200

            private static let expected = [
                Row(experiment: "no-confirm", leak: Cell(acknowledged: 0, effects: 0, lost: 200)),
                Row(experiment: "transaction", leak: Cell(acknowledged: 0, effects: 0, lost: 200)),
                Row(experiment: "unroutable", leak: Cell(effects: 0, lost: 200)),
                Row(experiment: "nack", leak: Cell(acknowledged: 100, effects: 100, lost: 100)),
                Row(experiment: "overflow", leak: Cell(effects: 100, lost: 100)),
                Row(experiment: "transient-topic", leak: Cell(effects: 0, lost: 200)),
                Row(experiment: "transient-messages", leak: Cell(effects: 0, lost: 200)),
                Row(experiment: "auto-ack", leak: Cell(effects: 180, lost: 20)),
                Row(experiment: "no-deduplication", leak: Cell(effects: 270, twice: 70)),
            ]

            @Test("Each leak leaks at a real RabbitMQ and each cure cures, to the message")
            func leaksAndCures() async throws {
                let server = try await RabbitMQServer.running()
                let control = try ServerControl(in: server.folder)
                async let serving: Void = control.serve(server)
                let end = try await ExampleProgram(
                    "loss-lab",
                    [
                        "--json", "--messages", "\(Self.messages)", "--broker", "\(server.url)/%2F", "--control",
                        control.command,
                    ],
                    writingTo: "\(server.folder)/loss-lab"
                ).end()
                try control.stop()
                try await serving
                #expect(end.code == 0 && end.errors == "", "\(end.errors)")
                let found = try JSONDecoder().decode([Row].self, from: Data(end.output.utf8))
                #expect(found.map(\.experiment) == Self.expected.map(\.experiment))
                for (row, expected) in zip(found, Self.expected) { #expect(row == expected) }
            }
        }
    }

    /// The server's orders, by a command that another program runs.
    private struct ServerControl {
        /// Waits until what is put behind it is done.
        let command: String
        private let questions: String
        private let answers: String

        init(in folder: String) throws {
            command = "\(folder)/control"
            questions = "\(folder)/control.questions"
            answers = "\(folder)/control.answers"
            let script = "#!/bin/sh\necho \"$1\" >\(questions)\nread answer <\(answers)\ntest \"$answer\" = ok\n"
            try Data(script.utf8).write(to: URL(filePath: command))
            guard chmod(command, 0o700) == 0, mkfifo(questions, 0o600) == 0, mkfifo(answers, 0o600) == 0 else {
                throw RabbitMQServer.Failure(description: "\(command): errno \(errno)")
            }
        }

        /// Does what is asked for until it is stopped.
        func serve(_ server: RabbitMQServer) async throws {
            while true {
                let order = try await Self.blocking { try Self.readLine(questions) }
                if order == "stop" { return }
                var answer = "ok"
                do { try await server.order(order) } catch { answer = "\(error)" }
                let line = answer + "\n"
                try await Self.blocking { try Self.write(line, to: answers) }
            }
        }

        func stop() throws { try Self.write("stop\n", to: questions) }

        private static func readLine(_ path: String) throws -> String {
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw RabbitMQServer.Failure(description: "\(path): errno \(errno)") }
            defer { close(file) }
            var (line, byte): ([UInt8], UInt8) = ([], 0)
            while read(file, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
            return String(decoding: line, as: UTF8.self)
        }

        private static func write(_ text: String, to path: String) throws {
            let file = open(path, O_WRONLY | O_CLOEXEC)
            guard file >= 0, Glibc.write(file, text, text.utf8.count) == text.utf8.count else {
                throw RabbitMQServer.Failure(description: "\(path): errno \(errno)")
            }
            close(file)
        }

        /// On a thread of its own: it waits for another program.
        private static func blocking<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
            try await withCheckedThrowingContinuation { continuation in
                DispatchQueue(label: "control").async { continuation.resume(with: Result(catching: body)) }
            }
        }
    }
#endif
