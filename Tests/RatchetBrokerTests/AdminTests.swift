import Ratchet
import Testing

@testable import RatchetBroker

@Suite("What an operator can see and change", .timeLimit(.minutes(30)))
struct AdminTests {
    @Test("Altered settings are durable, count from then on, and leave messages, members and offsets alone")
    func alter() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t", deleteRetention: .seconds(5))
        try await broker.send(.text("a", to: "t"))
        let session = try await broker.subscribe(to: "t", as: "g").open()
        try await session.start(try await session.nextAssigned())
        #expect(try await session.nextMessages().texts == ["a"])
        try await broker.alterTopic(
            "t",
            retention: Retention(time: .seconds(9), bytes: 1 << 20),
            maximumMessageSize: 100,
            cleanup: .both
        )
        let error = await #expect(throws: MessageError.self) {
            try await broker.send(OutgoingMessage(to: "t", key: "k", payload: [UInt8](repeating: 0, count: 100)))
        }
        #expect(error?.code == .tooLarge)
        try await broker.send(.text("b", to: "t", key: "k"))
        #expect(try await session.nextMessages().texts == ["b"])
        await #expect(throws: BrokerError.self) { try await broker.alterTopic("t", maximumMessageSize: 1) }
        await #expect(throws: BrokerError.self) { try await broker.alterTopic("u", cleanup: .compact) }
        try await broker.close()
        broker = try await Broker(at: directory.broker, configuration: .quiet)
        let expected = TopicSettings(
            retention: Retention(time: .seconds(9), bytes: 1 << 20),
            maximumMessageSize: 100,
            cleanup: .both,
            deleteRetention: .seconds(5)
        )
        #expect(try broker.describe("t").settings == expected)
        #expect(try await broker.texts(TopicPartition("t", 0)) == ["a", "b"])
        try await broker.close()
    }

    @Test("Partitions are added only when told that keys may move; members get them, and they go with the topic")
    func partitions() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        try await broker.createTopic("u")
        let session = try await broker.subscribe(to: "t", as: "g").open()
        #expect(try await session.nextAssigned().count == 2)
        let refused = await #expect(throws: BrokerError.self) { try await broker.addPartitions(to: "t", count: 4) }
        #expect(refused?.code == .invalidArgument && refused?.detail.contains("keysMayMove") == true)
        await #expect(throws: BrokerError.self) {
            try await broker.addPartitions(to: "t", count: 2, keysMayMove: true)
        }
        try await broker.addPartitions(to: "t", count: 4, keysMayMove: true)
        let added = try await session.nextAssigned()
        #expect(added.map(\.partition) == [TopicPartition("t", 2), TopicPartition("t", 3)])
        try await session.start(added)
        try await broker.send(.text("new", to: "t", partition: 3))
        #expect(try await session.nextMessages().texts == ["new"])
        try await broker.close()

        broker = try await Broker(at: directory.broker, configuration: .quiet)
        #expect(try broker.describe("t").partitions.map(\.log) == [0..<0, 0..<0, 0..<0, 0..<1])
        #expect(try broker.describe("u").partitions.map(\.log) == [0..<0])
        let tables = broker.storage.tables
        // One who has looked the topic up before it is altered deletes all of it.
        let early = try #require(broker.catalog["t"])
        try await broker.addPartitions(to: "t", count: 5, keysMayMove: true)
        try await broker.storage.write { try early.delete(in: $0, tables) }
        #expect(try broker.storage.read { try $0.count(tables.partitions) } == 1)
        try await broker.close()
    }

    @Test("Alterations at the same time all count")
    func altersAtOnce() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        try await withThrowingTaskGroup { group in
            group.addTask { try await broker.addPartitions(to: "t", count: 3, keysMayMove: true) }
            group.addTask { try await broker.alterTopic("t", maximumMessageSize: 500) }
            group.addTask { try await broker.alterTopic("t", cleanup: .compact) }
            try await group.waitForAll()
        }
        let description = try broker.describe("t")
        #expect(description.partitions.count == 3)
        #expect(description.settings == TopicSettings(partitions: 3, maximumMessageSize: 500, cleanup: .compact))
        try await broker.close()
    }

    @Test("Groups are listed with their members and what they own; those without members too, after a restart")
    func groups() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        try await broker.resetOffset(group: "offsets", partition: TopicPartition("t", 0), to: 0)
        let first = try await broker.subscribe(to: "t", as: "g").open()
        let both = try await first.nextAssigned().map(\.partition)
        var group = try #require(try broker.groups().first { $0.name == "g" })
        #expect(group.state == .stable && group.generation == 1)
        #expect(group.members.map(\.topics) == [["t"]] && group.members[0].partitions == both)
        let second = try await broker.subscribe(to: "t", as: "g").open()
        let moving = try await first.nextRevoking()
        group = try #require(try broker.groups().first { $0.name == "g" })
        #expect(group.state == .rebalancing && group.members.map(\.partitions) == [both, []])
        await first.release(moving)
        _ = try await second.nextAssigned()
        group = try #require(try broker.groups().first { $0.name == "g" })
        #expect(group.state == .stable && group.members.map(\.partitions.count) == [1, 1])
        await second.close()
        try await broker.close()
        broker = try await Broker(at: directory.broker, configuration: .quiet)
        let listed = try broker.groups()
        #expect(listed.map(\.name) == ["g", "offsets"])
        #expect(listed.allSatisfy { $0.state == .empty && $0.members.isEmpty })
        #expect(listed[0].generation >= 2 && listed[1].generation == 0)
        try await broker.close()
    }

    @Test("Lag counts what is not committed, in every partition of the group's topics, and says what is lost")
    func lag() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 2, retention: Retention(time: nil, bytes: 3000))
        try await broker.createTopic("other")
        let (zero, one) = (TopicPartition("t", 0), TopicPartition("t", 1))
        try await broker.send(.text("a", to: "t", partition: 1))
        try await broker.resetOffset(group: "g", partition: zero, to: 0)
        for _ in 0..<10 {
            let payload = [UInt8](repeating: 1, count: 1000)
            try await broker.send(OutgoingMessage(to: "t", payload: payload, partition: 0))
        }
        let lag = try broker.lag(group: "g")
        #expect(lag.count == 2)
        #expect(lag[zero]?.lag == 10 && lag[zero]?.lost == 0..<8)
        #expect(lag[one]?.lag == 1 && lag[one]?.committed == nil && lag[one]?.lost.isEmpty == true)
        #expect(try broker.lag(group: "nobody").isEmpty)
        try await broker.close()
    }

    @Test("Offsets are reset to the earliest, the latest, a time or an offset, in all partitions or in some")
    func resets() async throws {
        let wall = ManualWallClock()
        var configuration = Broker.Configuration.quiet
        configuration.time.wall = wall.read
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", partitions: 2)
        let (zero, one) = (TopicPartition("t", 0), TopicPartition("t", 1))
        var times: [Int64] = []
        for number in 0..<6 {
            try await broker.send(.text("\(number)", to: "t", partition: number == 5 ? 1 : 0))
            times.append(wall.read())
            wall.advance(by: .seconds(1))
        }
        for (target, first, second) in [
            (OffsetTarget.latest, Int64(5), Int64(1)), (.earliest, 0, 0), (.timestamp(times[2]), 2, 0),
            (.timestamp(times[2] + 1), 3, 0), (.timestamp(times[5] + 1), 5, 1), (.offset(1), 1, 1),
        ] {
            #expect(try await broker.resetOffsets(group: "g", topic: "t", to: target) == [zero: first, one: second])
            #expect(try broker.offsets(group: "g").mapValues(\.offset) == [zero: first, one: second])
        }
        try await broker.resetOffsets(group: "g", topic: "t", partitions: [0], to: .latest)
        #expect(try broker.offsets(group: "g").mapValues(\.offset) == [zero: 5, one: 1])
        // All or none: partition 1 has no offset 3.
        await #expect(throws: BrokerError.self) {
            try await broker.resetOffsets(group: "g", topic: "t", to: .offset(3))
        }
        #expect(try broker.offsets(group: "g").mapValues(\.offset) == [zero: 5, one: 1])
        let session = try await broker.subscribe(to: "t", as: "g").open()
        _ = try await session.nextAssigned()
        let error = await #expect(throws: BrokerError.self) {
            try await broker.resetOffsets(group: "g", topic: "t", to: .earliest)
        }
        #expect(error?.code == .groupIsActive)
        try await broker.close()
    }

    @Test("A damaged chunk is reported to who sets offsets by time: none is passed over for what it says")
    func damagedTimes() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        for number in 0..<3 { try await broker.send(.text("\(number)", to: "t")) }
        let log = try #require(broker.catalog.log(of: TopicPartition("t", 0)))
        let tables = broker.storage.tables
        try await broker.storage.write { transaction in
            try LogKey(log.uid, 1).withBytes { key in
                var bytes = Array(try #require(try transaction.get(key, in: tables.log)))
                // The latest time of its messages, which becomes an early one.
                for index in 24..<32 { bytes[index] = 0 }
                _ = try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: tables.log) }
            }
        }
        let error = await #expect(throws: BrokerError.self) {
            try await broker.resetOffsets(group: "g", topic: "t", to: .timestamp(.max))
        }
        #expect(error?.code == .corrupted && error?.detail.contains("offset 1 of t/0") == true)
        #expect(try broker.offsets(group: "g").isEmpty)
        try await broker.close()
    }

    @Test("Queues are listed with what is done, what is in consumers' hands and what is left, opened again or not")
    func queues() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t")
        #expect(try broker.queues(of: "t").isEmpty)
        for number in 0..<5 { try await broker.send(.text("\(number)", to: "t")) }
        let consumer = try await broker.queue("t", as: "b").consumer(prefetch: 3)
        let other = try await broker.queue("t", as: "a").consumer()
        let deliveries = try await consumer.next()
        #expect(deliveries.count == 3)
        try await consumer.ack(deliveries[0].tag)
        let found = try broker.queues(of: "t")
        #expect(found.map(\.group) == ["a", "b"] && found.map(\.topic) == ["t", "t"])
        #expect(found.map(\.consumers) == [1, 1] && found.map(\.unacked) == [0, 2])
        #expect(found.map(\.backlog) == [5, 4])
        #expect(found[1].partitions == [.init(partition: TopicPartition("t", 0), settled: 1, log: 0..<5)])
        other.close()
        #expect(try broker.queues(of: "t").map(\.consumers) == [0, 1])
        try await broker.close()
        broker = try await Broker(at: directory.broker, configuration: .quiet)
        let later = try broker.queues(of: "t")
        #expect(later.map(\.backlog) == [5, 4] && later.map(\.consumers) == [0, 0] && later.map(\.unacked) == [0, 0])
        let error = #expect(throws: BrokerError.self) { try broker.queues(of: "u") }
        #expect(error?.code == .unknownTopic)
        try await broker.close()
    }
}
