import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

@Suite struct DurabilityTests {
    @Test("What was acknowledged is there after kill -9")
    func killed() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.broker
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let broker = try await Broker(at: path, configuration: .quiet)
            try await broker.createTopic("t", partitions: 2)
            let session = try await broker.subscribe(to: "t", as: "g").open()
            let assignments = try await session.nextAssigned()
            for number in 0..<200 {
                try await broker.send(.text("\(number)", to: "t", partition: number % 2))
            }
            try await session.commit(
                assignments.map {
                    OffsetCommit(partition: $0.partition, offset: 42, generation: $0.generation, metadata: "m")
                }
            )
            kill(getpid(), SIGKILL)
        }
        let broker = try await Broker(at: path, configuration: .quiet)
        for number in 0..<2 {
            let texts = try await broker.texts(TopicPartition("t", number))
            #expect(texts == (0..<100).map { "\($0 * 2 + number)" })
        }
        let offsets = try broker.offsets(group: "g")
        #expect(offsets.count == 2)
        #expect(offsets.values.allSatisfy { $0 == CommittedOffset(offset: 42, metadata: "m") })
        // Generations go on rising.
        let session = try await broker.subscribe(to: "t", as: "g").open()
        #expect(try await session.nextAssigned().allSatisfy { $0.generation == 2 })
        try await broker.close()
    }

    @Test("Killed while many send: whatever was acknowledged is at its offset")
    func killedUnderLoad() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.broker
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let broker = try await Broker(at: path, configuration: .quiet)
            try await broker.createTopic("t", partitions: 3)
            let acknowledged = open("\(path)/acknowledged", O_CREAT | O_WRONLY | O_APPEND, 0o600)
            let count = Notes<Int>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for producer in 0..<8 {
                    group.addTask {
                        for number in 0... {
                            let receipt = try await broker.send(
                                .text("\(producer) \(number)", to: "t", key: "\(number)")
                            )
                            let line = "\(receipt.partition.partition) \(receipt.offset) \(producer) \(number)\n"
                            _ = line.withCString { write(acknowledged, $0, strlen($0)) }
                            count.add(1)
                            if count.all.count >= 500 { kill(getpid(), SIGKILL) }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let file = open("\(path)/acknowledged", O_RDONLY)
        bytes.removeLast(bytes.count - max(0, read(file, &bytes, bytes.count)))
        close(file)
        let broker = try await Broker(at: path, configuration: .quiet)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.count >= 500)
        for line in lines {
            let parts = line.split(separator: " ", maxSplits: 2)
            let partition = TopicPartition("t", try #require(Int(parts[0])))
            let message = try broker.message(at: try #require(Int64(parts[1])), of: partition, generation: 0)
            #expect(message?.text == String(parts[2]))
        }
        try await broker.close()
    }

    @Test("A directory is one process's at a time, and says whose")
    func otherProcess() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        let path = directory.broker
        let owner = Int(getpid())
        await #expect(processExitsWith: .success) { [path = path as String, owner = owner as Int] in
            do {
                _ = try await Broker(at: path, configuration: .quiet)
                exit(1)
            } catch let error as BrokerError {
                exit(error.code == .inUse && error.description.contains("process \(owner)") ? 0 : 2)
            }
        }
        try await broker.close()
        let again = try await Broker(at: directory.broker, configuration: .quiet)
        #expect(again.id == broker.id)
        try await again.close()
    }

    @Test("A directory is opened once within a process")
    func twice() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        let error = await #expect(throws: BrokerError.self) { _ = try await Broker(at: directory.broker) }
        #expect(error?.code == .inUse)
        // The refused one has taken nothing away from the first.
        try await broker.createTopic("t")
        try await broker.close()
    }

    @Test("Something else than a broker is refused and left alone", arguments: ["kind", "format", "none"])
    func foreign(what: String) async throws {
        let directory = try TemporaryDirectory()
        do {
            let environment = try Environment.open(at: directory.broker) { transaction in
                guard what != "none" else { return }
                let meta = try transaction.table("meta", create: true)
                let kind = what == "kind" ? "ratchet ledger" : Storage.kind
                try transaction.put(Array(kind.utf8), for: Array("kind".utf8), in: meta)
                try transaction.put([9, 0, 0, 0], for: Array("format".utf8), in: meta)
            }
            environment.close()
        }
        let error = await #expect(throws: BrokerError.self) {
            _ = try await Broker(at: directory.broker, configuration: .quiet)
        }
        #expect(error?.code == .notABroker)
        if what == "kind" { #expect(error?.detail.contains("ratchet ledger") == true) }
        // It can be opened by whom it belongs to.
        try Environment.open(at: directory.broker).close()
    }

    @Test("A directory of other files is refused")
    func otherFiles() async throws {
        let directory = try TemporaryDirectory()
        #expect(mkdir(directory.broker, 0o700) == 0)
        close(open("\(directory.broker)/letter", O_CREAT | O_WRONLY, 0o600))
        let error = await #expect(throws: BrokerError.self) {
            _ = try await Broker(at: directory.broker, configuration: .quiet)
        }
        #expect(error?.code == .notABroker)
    }

    @Test("Files are for this user alone")
    func modes() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        for name in ["data.mdb", "lock.mdb", "owner"] {
            var status = stat()
            #expect(stat("\(directory.broker)/\(name)", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        try await broker.close()
    }

    @Test("A memory broker leaves no files behind, closed or let go")
    func memory() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let path = broker.storage.path
        try await broker.createTopic("t")
        try await broker.send(.text("a", to: "t"))
        #expect(access(path, F_OK) == 0)
        try await broker.close()
        #expect(access(path, F_OK) != 0)

        func letGo() async throws -> String { try await Broker.inMemory(configuration: .quiet).storage.path }
        let other = try await letGo()
        #expect(access(other, F_OK) != 0)
    }

    @Test("After closing, everything says so")
    func closed() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        let session = try await broker.subscribe(to: "t", as: "g").open()
        _ = try await session.nextAssigned()
        async let next = session.next()
        try await broker.close()
        try await broker.close()
        #expect(try await next.isClosed)
        #expect(try await session.next().isClosed)
        let closed = { (error: any Error) in (error as? BrokerError)?.code == .closed }
        await #expect(performing: { try await broker.send(.text("a", to: "t")) }, throws: closed)
        await #expect(performing: { try await broker.createTopic("u") }, throws: closed)
        await #expect(performing: { try await broker.subscribe(to: "t", as: "g").open() }, throws: closed)
        #expect(performing: { try broker.offsets(group: "g") }, throws: closed)
        await session.close()
    }

    @Test("A damaged chunk is never served, and its place is named; what is sound still is")
    func corruption() async throws {
        let directory = try TemporaryDirectory()
        let partition = TopicPartition("t", 0)
        do {
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            try await broker.createTopic("t")
            for text in ["sound one", "DAMAGED-BY-THE-TEST", "sound two"] {
                try await broker.send(.text(text, to: "t"))
            }
            try await broker.close()
        }
        #expect(try damage("DAMAGED-BY-THE-TEST", in: "\(directory.broker)/data.mdb") > 0)
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        let session = try await broker.subscribe(to: "t", as: "g").open()
        let assignment = try await session.nextAssigned()[0]
        try await session.start(partition, at: 0, generation: assignment.generation)
        for _ in 0..<2 {
            let error = await #expect(throws: SourceError.self) { try await session.next() }
            #expect(error?.code == .corrupted)
            #expect(error?.detail.contains("offset 1 of t/0") == true)
        }
        #expect(try await session.message(at: 0, of: partition)?.text == "sound one")
        await #expect(throws: SourceError.self) { try await session.message(at: 1, of: partition) }
        try await session.start(partition, at: 2, generation: assignment.generation)
        #expect(try await session.nextMessages().texts == ["sound two"])
        try await broker.close()
    }

    /// Changes one bit of each occurrence of `text` in the file.
    private func damage(_ text: String, in path: String) throws -> Int {
        let file = open(path, O_RDWR)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: Int(lseek(file, 0, SEEK_END)))
        #expect(pread(file, &bytes, bytes.count, 0) == bytes.count)
        let wanted = Array(text.utf8)
        var found = 0
        for start in 0...(bytes.count - wanted.count)
        where bytes[start] == wanted[0] && bytes[start..<start + wanted.count].elementsEqual(wanted) {
            found += 1
            bytes[start] ^= 1
        }
        #expect(pwrite(file, bytes, bytes.count, 0) == bytes.count)
        return found
    }
}
