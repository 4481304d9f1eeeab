import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct TopicTests {
    private let partition = TopicPartition("t", 0)

    @Test("Creating a topic again changes nothing; with other settings it fails")
    func create() async throws {
        let directory = try TemporaryDirectory()
        let retention = Retention(time: .milliseconds(1500), bytes: 1 << 30)
        for round in 0..<2 {
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            try await broker.createTopic("t", partitions: 3, retention: retention, maximumMessageSize: 2000)
            try await broker.createTopic("t", partitions: 3, retention: retention, maximumMessageSize: 2000)
            let error = await #expect(throws: BrokerError.self) { try await broker.createTopic("t", partitions: 4) }
            #expect(error?.code == .topicExists)
            let description = try broker.describe("t")
            #expect(
                description.settings
                    == TopicSettings(partitions: 3, retention: retention, maximumMessageSize: 2000)
            )
            #expect(description.partitions.map(\.log) == Array(repeating: 0..<Int64(round), count: 3))
            for number in 0..<3 { try await broker.send(.text("x", to: "t", partition: number)) }
            try await broker.close()
        }
    }

    @Test("Names and settings out of bounds are refused")
    func invalid() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumPartitions = 10
        let broker = try await Broker.inMemory(configuration: configuration)
        let invalid = { (error: any Error) in (error as? BrokerError)?.code == .invalidArgument }
        for name in ["", "a b", "a/b", "ü", String(repeating: "a", count: 250), "a\u{0}"] {
            await #expect(performing: { try await broker.createTopic(name) }, throws: invalid)
            #expect(performing: { try broker.offsets(group: name) }, throws: invalid)
        }
        for count in [0, -1, 1025] {
            await #expect(performing: { try await broker.createTopic("t", partitions: count) }, throws: invalid)
        }
        await #expect(
            performing: { try await broker.createTopic("t", retention: Retention(time: .zero)) },
            throws: invalid
        )
        await #expect(performing: { try await broker.createTopic("t", maximumMessageSize: 23) }, throws: invalid)
        try await broker.createTopic(String(repeating: "a", count: 249), partitions: 6)
        let error = await #expect(throws: BrokerError.self) { try await broker.createTopic("t", partitions: 5) }
        #expect(error?.code == .limitReached)
        try await broker.createTopic("t", partitions: 4)
        try await broker.close()
    }

    @Test("A deleted topic is gone with its messages and offsets; a new one under its name is another")
    func delete() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        try await broker.createTopic("u")
        try await broker.send(.text("keep", to: "u"))
        for number in 0..<600 { try await broker.send(.text("\(number)", to: "t", partition: number % 2)) }
        try await broker.resetOffset(group: "g", partition: partition, to: 3)
        let id = try broker.describe("t").id

        let session = try await broker.subscribe(to: ["t", "u"], as: "h").open()
        var assigned: Set<TopicPartition> = []
        while assigned.count < 3 { assigned.formUnion(try await session.nextAssigned().map(\.partition)) }
        try await broker.deleteTopic("t")
        #expect(Set(try await session.nextLost()) == [TopicPartition("t", 0), TopicPartition("t", 1)])
        #expect(broker.topics() == ["u"])
        await #expect(throws: MessageError.self) { try await broker.send(.text("x", to: "t")) }
        await #expect(throws: BrokerError.self) { try await broker.deleteTopic("t") }
        let tables = broker.storage.tables
        #expect(try broker.storage.read { try $0.count(tables.log) } == 1)
        #expect(try broker.storage.read { try $0.count(tables.garbage) } == 0)

        try await broker.createTopic("t")
        #expect(try broker.describe("t").id != id)
        #expect(try broker.offsets(group: "g").isEmpty)
        let assignment = try await session.nextAssigned()[0]
        #expect(assignment.partition == partition)
        #expect(assignment.topicID == (try broker.describe("t").id))
        #expect(assignment.log == 0..<0)
        #expect(try await broker.texts(TopicPartition("u", 0)) == ["keep"])
        try await broker.close()
    }

    @Test("However fast a topic is made anew, members lose the old one and get the new one")
    func madeAnew() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        let session = try await broker.subscribe(to: "t", as: "g").open()
        var last = try await session.nextAssigned()[0]
        for _ in 0..<30 {
            async let deleted: Void = broker.deleteTopic("t")
            // The same settings: nothing is done while the old topic is there.
            while (try? broker.describe("t").id) ?? last.topicID == last.topicID {
                try await broker.createTopic("t")
            }
            try await deleted
            #expect(try await session.nextLost() == [partition])
            let next = try await session.nextAssigned()[0]
            #expect(next.topicID != last.topicID && next.generation > last.generation)
            last = next
        }
        try await broker.send(.text("a", to: "t"))
        try await session.start([last])
        #expect(try await session.nextMessages().texts == ["a"])
        try await broker.close()
    }

    @Test("What a crash left of a deleted topic is removed at the next opening")
    func garbage() async throws {
        let directory = try TemporaryDirectory()
        do {
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            try await broker.createTopic("t")
            for number in 0..<300 { try await broker.send(.text("\(number)", to: "t")) }
            let topic = try #require(broker.catalog["t"])
            let tables = broker.storage.tables
            try await broker.storage.write { try topic.delete(in: $0, tables) }
            // A sender that had looked the topic up before is told.
            let error = await #expect(throws: MessageError.self) { try await broker.send(.text("late", to: "t")) }
            #expect(error?.code == .unknownTopic)
            try await broker.close()
        }
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        let tables = broker.storage.tables
        #expect(broker.topics().isEmpty)
        #expect(try broker.storage.read { try $0.count(tables.log) } == 0)
        try await broker.close()
    }

    @Test("Retention by size keeps a partition near its limit and never removes the newest chunk")
    func retentionBySize() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", retention: Retention(time: nil, bytes: 10_000))
        for number in 0..<50 {
            let payload = [UInt8](repeating: UInt8(number), count: 976)
            try await broker.send(OutgoingMessage(to: "t", payload: payload))
            let state = try broker.describe("t").partitions[0]
            #expect(state.bytes <= 10_000)
            #expect(state.log.upperBound == Int64(number + 1))
        }
        let log = try broker.describe("t").partitions[0].log
        #expect(log == 41..<50)
        #expect(try await broker.texts(partition).count == 9)
        // One chunk over the limit stays until there is a newer one.
        let large = try await broker.send(OutgoingMessage(to: "t", payload: [UInt8](repeating: 1, count: 20_000)))
        #expect(try broker.describe("t").partitions[0].log == large.offset..<large.offset + 1)

        let session = try await broker.subscribe(to: "t", as: "g").open()
        let generation = try await session.nextAssigned()[0].generation
        try await session.start(partition, at: 45, generation: generation)
        let gap = try await session.nextGap()
        let left = large.offset..<large.offset + 1
        #expect(gap == OffsetGap(partition: partition, generation: generation, position: 45, log: left))
        #expect(throws: SourceError.self) { try broker.read(partition, from: 45) }
        #expect(try await session.message(at: 45, of: partition) == nil)
        try await broker.close()
    }

    @Test("A reader that retention has overtaken is told, and can start again at what is left")
    func overtaken() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", retention: Retention(time: nil, bytes: 3000))
        let session = try await broker.subscribe(to: "t", as: "g").open()
        let generation = try await session.nextAssigned()[0].generation
        try await session.start(partition, at: 0, generation: generation)
        for _ in 0..<10 { try await broker.send(OutgoingMessage(to: "t", payload: [UInt8](repeating: 1, count: 1000))) }
        let log = try broker.describe("t").partitions[0].log
        let gap = try await session.nextGap()
        #expect(gap == OffsetGap(partition: partition, generation: generation, position: 0, log: log))
        // Told once: then what the other partitions have comes, and here there are none.
        async let next = session.nextMessages()
        try await session.start(partition, at: log.lowerBound, generation: generation)
        let batch = try await next
        #expect(batch.startOffset == log.lowerBound && batch.lastOffset == log.upperBound - 1)
        try await broker.close()
    }

    @Test("Retention by time removes whole chunks once their newest message is too old")
    func retentionByTime() async throws {
        let wallClock = ManualWallClock()
        var configuration = Broker.Configuration.quiet
        configuration.time.wall = wallClock.read
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", retention: Retention(time: .seconds(10)))
        for _ in 0..<700 { try await broker.send(.text("old", to: "t")) }
        wallClock.advance(by: .seconds(10))
        try await broker.send(.text("new", to: "t"))
        try await broker.clean()
        #expect(try broker.describe("t").partitions[0].log == 0..<701)
        wallClock.advance(by: .milliseconds(1))
        try await broker.clean()
        #expect(try broker.describe("t").partitions[0].log == 700..<701)
        wallClock.advance(by: .seconds(100))
        try await broker.clean()
        #expect(try await broker.texts(partition) == ["new"])
        try await broker.close()
        let again = try await Broker(at: directory.broker, configuration: configuration)
        #expect(try again.describe("t").partitions[0].log == 700..<701)
        try await again.close()
    }
}
