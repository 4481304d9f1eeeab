import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Compaction: of each key the newest message stays", .timeLimit(.minutes(30)))
struct CompactionTests {
    private static let partition = TopicPartition("t", 0)

    private static func broker(_ change: (inout Broker.Configuration) -> Void = { _ in }) async throws -> Broker {
        var configuration = Broker.Configuration.quiet
        change(&configuration)
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", cleanup: .compact, deleteRetention: .seconds(60))
        return broker
    }

    /// Sends `key value` pairs, each in a chunk of its own; an empty value is a tombstone.
    private static func send(_ pairs: [(String, String)], to broker: Broker) async throws {
        for (key, value) in pairs { try await broker.send(.text(value, to: "t", key: key)) }
    }

    private static func contents(_ broker: Broker) async throws -> [String] {
        var found: [String] = []
        for try await batch in try broker.read(partition) {
            for index in 0..<batch.count {
                let message = batch[index]
                found.append("\(message.offset) \(String(decoding: message.key ?? [], as: UTF8.self))=\(message.text)")
            }
        }
        return found
    }

    private static func chunks(_ broker: Broker) throws -> [(header: ChunkLayout.Header, entries: [ProducerEntry])] {
        try broker.storage.read { transaction in
            try transaction.withCursor(in: broker.storage.tables.log) { cursor in
                var found: [(header: ChunkLayout.Header, entries: [ProducerEntry])] = []
                var row = try cursor.first()
                while let chunk = row?.value {
                    let header = try ChunkLayout.header(of: chunk)
                    found.append((header, try ChunkLayout.entries(header, in: chunk)))
                    row = try cursor.next()
                }
                return found
            }
        }
    }

    @Test("Older messages of a key go, their neighbours keep their offsets, the log keeps its end")
    func newest() async throws {
        let broker = try await Self.broker()
        try await Self.send([("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", "2"), ("a", "3")], to: broker)
        let before = try broker.describe("t").partitions[0]
        try await broker.compact("t")
        // The newest chunk stays as it is, and takes no older one's place.
        #expect(try await Self.contents(broker) == ["2 a=2", "3 c=1", "4 b=2", "5 a=3"])
        let after = try broker.describe("t").partitions[0]
        #expect(after.log == before.log)
        #expect(after.bytes < before.bytes)
        #expect(try Self.chunks(broker).map(\.header.chunkSize).reduce(0, +) == after.bytes)
        try await Self.send([("d", "1")], to: broker)
        try await broker.compact("t")
        #expect(try await Self.contents(broker) == ["3 c=1", "4 b=2", "5 a=3", "6 d=1"])
        #expect(try Self.chunks(broker).map(\.header.span) == [6, 1], "small chunks are put together")
        try await broker.close()
    }

    @Test("More keys than fit into the memory for them are compacted all the same, in several passes")
    func memory() async throws {
        for memory in [1, 1000, 1 << 20] {
            let broker = try await Self.broker { $0.compactionMemory = memory }
            for round in 0..<4 {
                try await Self.send((0..<30).map { ("k\($0)", "\(round)") }, to: broker)
            }
            try await Self.send([("end", "")], to: broker)
            try await broker.compact("t")
            let expected = (0..<30).map { "\(90 + $0) k\($0)=3" } + ["120 end="]
            #expect(try await Self.contents(broker) == expected, "\(memory) bytes")
            try await broker.close()
        }
    }

    @Test("A message without a key is refused, alone and in a batch, and nothing of the batch is written")
    func keyless() async throws {
        let broker = try await Self.broker()
        let error = await #expect(throws: MessageError.self) { try await broker.send(.text("x", to: "t")) }
        #expect(error?.code == .missingKey)
        await #expect(throws: MessageError.self) {
            let sent: [RecordMetadata] = try await broker.send([.text("1", to: "t", key: "a"), .text("x", to: "t")])
            Issue.record("sent \(sent)")
        }
        #expect(try broker.describe("t").partitions[0].log == 0..<0)
        await #expect(throws: BrokerError.self) {
            try await broker.createTopic("plain")
            try await broker.compact("plain")
        }
        try await broker.close()
    }

    @Test("A tombstone deletes its key at once, and goes itself once it is older than deleteRetention")
    func tombstones() async throws {
        let wall = ManualWallClock()
        let broker = try await Self.broker { $0.time.wall = wall.read }
        try await Self.send([("a", "1"), ("b", "1")], to: broker)
        try await broker.send(.tombstone(for: Array("a".utf8), in: "t"))
        try await Self.send([("end", "1")], to: broker)
        try await broker.compact("t")
        #expect(try await Self.contents(broker) == ["1 b=1", "2 a=", "3 end=1"])
        wall.advance(by: .seconds(60))
        try await broker.compact("t")
        #expect(try await Self.contents(broker) == ["1 b=1", "2 a=", "3 end=1"])
        wall.advance(by: .milliseconds(1))
        try await broker.compact("t")
        #expect(try await Self.contents(broker) == ["1 b=1", "3 end=1"])
        try await broker.close()
    }

    @Test("Reading goes on in the middle of a chunk that compaction has replaced meanwhile", arguments: 0..<4)
    func replacedUnderReader(read: Int) async throws {
        let broker = try await Self.broker()
        let messages = ["a", "b", "a", "c", "b", "d"].enumerated()
        let _: [RecordMetadata] = try await broker.send(
            messages.map { .text("\($0.offset)", to: "t", key: $0.element) }
        )
        try await Self.send([("e", "6"), ("f", "7")], to: broker)
        let log = try #require(broker.catalog.log(of: Self.partition))
        let limits = LogReader.Limits(messages: 1, bytes: 1 << 20)
        var (place, offset, seen): (LogReader.Place?, Int64, [String]) = (nil, 0, [])
        func step() throws -> Bool {
            guard let found = try LogReader(log).read(from: offset, generation: 1, limits: limits, place: &place)
            else { return false }
            seen += found.batch?.texts ?? []
            offset = found.next
            return true
        }
        for _ in 0..<read { #expect(try step()) }
        try await broker.compact("t")
        while try step() {}
        let left = [2, 3, 4, 5, 6, 7].filter { $0 >= read }
        #expect(seen == ((0..<read) + left).map { "\($0)" })
        try await broker.close()
    }

    @Test("What chunks say of producers stays, at its offsets, when their records go and they are put together")
    func producers() async throws {
        let broker = try await Self.broker()
        let producer = try await broker.producer()
        for number in 0..<8 { try await producer.send(.text("\(number)", to: "t", key: "a")) }
        try await Self.send([("end", "1")], to: broker)
        try await broker.compact("t")
        let chunks = try Self.chunks(broker)
        #expect(chunks.map(\.header.count) == [1, 1])
        // As many as a partition remembers.
        #expect(chunks[0].entries.map(\.sequences) == [3...3, 4...4, 5...5, 6...6, 7...7])
        #expect(chunks[0].entries.map(\.delta) == [3, 4, 5, 6, 7])
        try await broker.close()
    }

    @Test("A damaged chunk is reported and stays; what is before it is not lost either")
    func damaged() async throws {
        let broker = try await Self.broker()
        try await Self.send([("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("end", "1")], to: broker)
        let (log, tables) = (try #require(broker.catalog.log(of: Self.partition)), broker.storage.tables)
        try await broker.storage.write { transaction in
            try LogKey(log.uid, 2).withBytes { key in
                guard let stored = try transaction.get(key, in: tables.log) else { return }
                var bytes = Array(stored)
                bytes[bytes.count - 1] ^= 1
                _ = try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: tables.log) }
            }
        }
        let error = await #expect(throws: BrokerError.self) { try await broker.compact("t") }
        #expect(error?.code == .corrupted && error?.detail.contains("offset 2 of t/0") == true)
        #expect(try Self.chunks(broker).count == 5)
        try await broker.close()
    }

    @Test("While it runs, the broker compacts by itself what is worth it")
    func byItself() async throws {
        let clock = ManualClock()
        let broker = try await Self.broker {
            $0.clock = clock
            $0.compactionInterval = .seconds(30)
        }
        try await Self.send([("a", "1"), ("a", "2"), ("end", "1")], to: broker)
        let log = try #require(broker.catalog.log(of: Self.partition))
        func isDue() -> Bool {
            log.compaction.isDue(bytes: log.bytes, end: log.range.upperBound, tombstonesBefore: 0)
        }
        await withThrowingTaskGroup { group in
            group.addTask { try await broker.run() }
            while isDue() {
                await clock.waitForSleeper()
                clock.advance(by: .seconds(10))
            }
            group.cancelAll()
        }
        #expect(try await Self.contents(broker) == ["1 a=2", "2 end=1"])
        try await broker.close()
    }

    @Test("Cleanup 'both' compacts, and retention applies; with 'compact' it does not")
    func both() async throws {
        let wall = ManualWallClock()
        let broker = try await Self.broker { $0.time.wall = wall.read }
        try await broker.createTopic("u", retention: Retention(time: .seconds(10)), cleanup: .both)
        try await broker.alterTopic("t", retention: Retention(time: .seconds(10), bytes: 1))
        for topic in ["t", "u"] {
            for (key, value) in [("a", "1"), ("a", "2"), ("b", "1")] {
                try await broker.send(.text(value, to: topic, key: key))
            }
            try await broker.compact(topic)
            #expect(try await broker.texts(TopicPartition(topic, 0)) == ["2", "1"])
        }
        wall.advance(by: .seconds(11))
        try await broker.clean()
        #expect(try await broker.texts(TopicPartition("t", 0)) == ["2", "1"])
        #expect(try await broker.texts(TopicPartition("u", 0)) == ["1"])
        try await broker.close()
    }
}
