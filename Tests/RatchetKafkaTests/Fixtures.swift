#if Kafka
    import Dispatch
    import Ratchet
    import RatchetKafka
    import Testing

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #elseif canImport(Darwin)
        import Darwin
    #endif

    extension MockCluster {
        /// A name that nobody else has.
        static func newName(_ kind: String) -> String { "\(kind)-\(UInt64.random(in: .min ... .max))" }

        func newTopic(partitions: Int = 1) async throws -> String {
            let name = Self.newName("topic")
            try await createTopic(name, partitions: partitions)
            return name
        }
    }

    extension OutgoingMessage {
        static func text(_ text: String, to topic: String, key: String? = nil) -> OutgoingMessage {
            OutgoingMessage(to: topic, key: key, payload: Array(text.utf8), headers: [.messageID(text)])
        }
    }

    extension SourceSession {
        /// Waits until so many partitions are assigned, at once or one after the other.
        func assigned(_ count: Int = 1) async throws -> [Assignment] {
            var all: [Assignment] = []
            while all.count < count {
                if case .assigned(let assignments) = try await next() { all += assignments }
            }
            return all
        }

        /// Waits until the log of a partition does not hold what comes next; what comes before that is passed over.
        func gap() async throws -> OffsetGap {
            while true {
                if case .outOfRange(let gap) = try await next() { return gap }
            }
        }

        /// Waits for so many messages.
        func messages(_ count: Int) async throws -> [Message] {
            var found: [Message] = []
            while found.count < count {
                if case .messages(let batch) = try await next() { found += (0..<batch.count).map { batch[$0] } }
            }
            return found
        }
    }

    /// Programs of their own.
    enum Shell {
        /// A built product, which is beside the tests.
        static func path(of program: String) -> String {
            let tests = CommandLine.arguments[0]
            return (tests.lastIndex(of: "/").map { String(tests[...$0]) } ?? "./") + program
        }

        /// Debian's Python, which has confluent-kafka, with the producer beside this file.
        static let producer =
            "/usr/bin/python3 '\(#filePath.prefix(through: #filePath.lastIndex(of: "/") ?? #filePath.startIndex))produce.py'"

        /// Runs a command line to its end, which must be 0.
        static func run(_ command: String) async throws {
            let process = try start(command)
            let status = try await end(of: process)
            #expect(status == 0, "\(command)")
        }

        static func start(_ command: String) throws -> pid_t {
            var process = pid_t()
            var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(command), nil]
            defer { for argument in arguments { free(argument) } }
            guard posix_spawn(&process, "/bin/sh", nil, nil, &arguments, environ) == 0 else {
                throw MockProcess.Failure(description: "'\(command)' cannot be started")
            }
            return process
        }

        /// The status that a process ends with, once.
        static func end(of process: pid_t) async throws -> Int32 {
            try await PlainClient.blocking {
                var status: Int32 = 0
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                return status
            }
        }

        /// A folder that nobody else has.
        static func newFolder() throws -> String {
            let folder = "/tmp/ratchet-kafka-\(UInt64.random(in: .min ... .max))"
            guard mkdir(folder, 0o700) == 0 else { throw MockProcess.Failure(description: "no folder \(folder)") }
            return folder
        }
    }

    /// A ledger in a folder of its own.
    final class ScratchLedger: Sendable {
        let ledger: Ledger
        private let folder: String

        convenience init() throws { try self.init(in: Shell.newFolder()) }

        private init(in folder: String) throws {
            self.folder = folder
            var configuration = Ledger.Configuration()
            configuration.isDurable = false
            (configuration.mapSize, configuration.quota) = (1 << 30, 1 << 30)
            configuration.logger = MockCluster.silent
            ledger = try Ledger(at: "\(folder)/ledger", configuration: configuration)
        }

        /// Closes it and makes two of it, as a backup does.
        func fork() async throws -> (ScratchLedger, ScratchLedger) {
            await ledger.close()
            let copy = try Shell.newFolder()
            try await Shell.run("cp -r \(folder)/. \(copy)")
            return (try ScratchLedger(in: folder), try ScratchLedger(in: copy))
        }

        func close() async throws {
            await ledger.close()
            try await Shell.run("rm -r \(folder)")
        }
    }
#endif
