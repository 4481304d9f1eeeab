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
        /// Waits until partitions are assigned.
        func assigned() async throws -> [Assignment] {
            while true {
                if case .assigned(let assignments) = try await next() { return assignments }
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

    /// A program that is not ours.
    enum Shell {
        /// Runs a command line to its end, which must be 0.
        static func run(_ command: String) async throws {
            let status = try await PlainClient.blocking {
                var process = pid_t()
                var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(command), nil]
                defer { for argument in arguments { free(argument) } }
                guard posix_spawn(&process, "/bin/sh", nil, nil, &arguments, environ) == 0 else { return Int32(-1) }
                var status: Int32 = 0
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                return status
            }
            #expect(status == 0, "\(command)")
        }
    }

    /// A ledger in a folder of its own.
    final class ScratchLedger: Sendable {
        let ledger: Ledger
        private let folder: String

        init() throws {
            folder = "/tmp/ratchet-kafka-\(UInt64.random(in: .min ... .max))"
            guard mkdir(folder, 0o700) == 0 else { throw MockProcess.Failure(description: "no folder \(folder)") }
            var configuration = Ledger.Configuration()
            configuration.isDurable = false
            configuration.logger = MockCluster.silent
            ledger = try Ledger(at: "\(folder)/ledger", configuration: configuration)
        }

        func close() async throws {
            await ledger.close()
            try await Shell.run("rm -r \(folder)")
        }
    }
#endif
