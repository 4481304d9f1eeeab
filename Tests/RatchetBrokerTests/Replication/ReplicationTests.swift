import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Replication", .timeLimit(.minutes(30)))
struct ReplicationTests {
    private static let partition = TopicPartition("t", 0)

    /// A broker of three nodes with a topic on all of them.
    private static func broker(
        _ directory: TemporaryDirectory,
        minimum: Int = 2,
        allowsUnclean: Bool = false,
        _ configuration: Broker.Configuration = .replicated
    ) async throws -> Broker {
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic(
            "t",
            replicationFactor: 3,
            minInSyncReplicas: minimum,
            allowsUncleanElection: allowsUnclean
        )
        return broker
    }

    private static func open(_ path: String, nodes: Int = 3) async throws -> Broker {
        var configuration = Broker.Configuration.quiet
        configuration.nodes = nodes
        return try await Broker(at: path, configuration: configuration)
    }

    private static func leader(_ broker: Broker) throws -> Int { try #require(try broker.replication("t").leader) }

    @Test("What all in-sync replicas confirmed is there when the leader has died, and so on")
    func failover() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        var expected: [String] = []
        for round in 0..<6 {
            try await broker.rounds { try broker.isWhole() }
            try await broker.send(.text("\(round)", to: "t"))
            expected.append("\(round)")
            let leader = try Self.leader(broker)
            await broker.nodes[leader].kill()
            try await broker.rounds { try broker.replication("t").leader.map { $0 != leader } ?? false }
            #expect(try await broker.texts(Self.partition) == expected)
            try await broker.nodes[leader].start()
        }
        try await broker.rounds { try broker.isWhole() }
        #expect(try broker.chunks(of: 0) == broker.chunks(of: 1))
        #expect(try broker.chunks(of: 1) == broker.chunks(of: 2))
        try await broker.close()
    }

    @Test("With too few in sync a send fails, can be tried again, and has written nothing")
    func tooFew() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        try await broker.send(.text("first", to: "t"))
        let leader = try Self.leader(broker)
        let others = (0..<3).filter { $0 != leader }
        for node in others { await broker.nodes[node].kill() }
        try await broker.rounds { try broker.replication("t").inSync == [leader] }
        let error = await #expect(throws: BrokerError.self) { try await broker.send(.text("refused", to: "t")) }
        #expect(error?.code == .notEnoughReplicas)
        #expect(error?.isRetriable == true)
        try await broker.nodes[others[0]].start()
        try await broker.rounds { try broker.replication("t").inSync.count == 2 }
        try await broker.send(.text("second", to: "t"))
        #expect(try await broker.texts(Self.partition) == ["first", "second"])
        try await broker.close()
    }

    @Test("A message that only the leader has is not visible, and goes with the leader")
    func leaderOnly() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        try await broker.send(.text("first", to: "t"))
        let leader = try Self.leader(broker)
        for node in 0..<3 where node != leader { broker.nodes[node].slowDown(by: .seconds(3600)) }
        try await broker.send(.text("lost", to: "t"), acks: .leader)
        #expect(try await broker.texts(Self.partition) == ["first"])
        await broker.nodes[leader].kill()
        for node in broker.nodes { node.slowDown(by: nil) }
        try await broker.rounds { try broker.replication("t").leader != nil }
        try await broker.rounds { try broker.replication("t").inSync.count == 2 }
        try await broker.send(.text("second", to: "t"))
        try await broker.nodes[leader].start()
        try await broker.rounds { try broker.isWhole() }
        #expect(try await broker.texts(Self.partition) == ["first", "second"])
        #expect(try broker.chunks(of: leader) == broker.chunks(of: (leader + 1) % 3), "what it had alone is cut off")
        try await broker.close()
    }

    @Test("Who waits for all in-sync replicas is told that it is not known, when the leader dies")
    func unknown() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        let leader = try Self.leader(broker)
        for node in 0..<3 where node != leader { broker.nodes[node].slowDown(by: .seconds(3600)) }
        async let sent: RecordMetadata = broker.send(.text("?", to: "t"))
        try await broker.rounds { try !broker.chunks(of: leader).isEmpty }
        await broker.nodes[leader].kill()
        do {
            _ = try await sent
            Issue.record("it was confirmed")
        } catch let error as BrokerError {
            #expect(error.code == .timedOut)
        }
        try await broker.close()
    }

    @Test(
        "When the in-sync replicas are lost nobody leads, unless an unclean election is allowed",
        arguments: [false, true]
    )
    func unclean(isAllowed: Bool) async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory, minimum: 1, allowsUnclean: isAllowed)
        try await broker.send(.text("on all", to: "t"))
        let leader = try Self.leader(broker)
        for node in 0..<3 where node != leader { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").inSync == [leader] }
        try await broker.send(.text("on one", to: "t"))
        try await broker.nodes[leader].wipe()
        // The one with the lost disk last.
        for node in 1...3 { try await broker.nodes[(leader + node) % 3].start() }
        if isAllowed {
            try await broker.rounds { try broker.isWhole() }
            #expect(try await broker.texts(Self.partition) == ["on all"])
            try await broker.send(.text("after", to: "t"))
        } else {
            #expect(try broker.replication("t").leader == nil)
            let error = await #expect(throws: BrokerError.self) { try await broker.send(.text("x", to: "t")) }
            #expect(error?.code == .leaderNotAvailable)
            #expect(error?.isRetriable == true)
        }
        try await broker.close()
    }

    @Test("With two in sync at the least, one lost disk loses nothing that was confirmed and leaves a leader")
    func lostDisk() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        try await broker.send(.text("kept", to: "t"))
        let leader = try Self.leader(broker)
        for node in 0..<3 where node != leader { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").inSync == [leader] }
        try await broker.nodes[leader].wipe()
        for node in broker.nodes { try await node.start() }
        try await broker.rounds { try broker.isWhole() }
        #expect(try await broker.texts(Self.partition) == ["kept"])
        try await broker.close()
    }

    @Test("A follower that lags is not waited for, and comes back when it has caught up")
    func lags() async throws {
        let directory = try TemporaryDirectory()
        let clock = ManualClock()
        var configuration = Broker.Configuration.replicated
        configuration.clock = clock
        let broker = try await Self.broker(directory, configuration)
        let slow = (try Self.leader(broker) + 1) % 3
        broker.nodes[slow].slowDown(by: .seconds(60))
        async let sent: RecordMetadata = broker.send(.text("1", to: "t"))
        try await broker.rounds { try !broker.chunks(of: (slow + 1) % 3).isEmpty }
        clock.advance(by: .seconds(11))
        _ = try await { () async throws in
            try await broker.rounds { try broker.replication("t").inSync.count == 2 }
        }()
        _ = try await sent
        clock.advance(by: .seconds(60))
        broker.nodes[slow].slowDown(by: nil)
        try await broker.rounds { try broker.isWhole() }
        #expect(try broker.chunks(of: slow) == broker.chunks(of: (slow + 1) % 3))
        try await broker.close()
    }

    @Test("A cut-off leader is replaced and takes up what it has missed")
    func cutOff() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        try await broker.send(.text("1", to: "t"))
        let leader = try Self.leader(broker)
        broker.nodes[leader].cutOff()
        try await broker.rounds { try broker.replication("t").leader.map { $0 != leader } ?? false }
        try await broker.send(.text("2", to: "t"))
        broker.nodes[leader].reconnect()
        try await broker.rounds { try broker.isWhole() }
        #expect(try await broker.texts(Self.partition) == ["1", "2"])
        #expect(try broker.chunks(of: leader) == broker.chunks(of: (leader + 1) % 3))
        try await broker.close()
    }

    @Test("A broker that is opened again shows what it showed, in any number of restarts")
    func restarts() async throws {
        let directory = try TemporaryDirectory()
        var expected: [String] = []
        for round in 0..<3 {
            let broker = try await Self.broker(directory)
            #expect(try await broker.texts(Self.partition) == expected)
            try await broker.rounds { try broker.isWhole() }
            try await broker.send(.text("\(round)", to: "t"))
            expected.append("\(round)")
            try await broker.close()
        }
    }

    @Test("A broker is opened with as many nodes as it was made with")
    func nodes() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        try await broker.close()
        for count in [1, 2] {
            let error = await #expect(throws: BrokerError.self) {
                try await Self.open(directory.broker, nodes: count).close()
            }
            #expect(error?.code == .invalidArgument)
        }
        let error = await #expect(throws: BrokerError.self) {
            try await Self.open("\(directory.broker)/node-1", nodes: 1).close()
        }
        #expect(error?.code == .notABroker)
    }

    @Test("A consumer reads on where another node leads")
    func consumer() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        let session = try await broker.subscribe(to: "t", as: "g").open()
        try await session.start(try await session.nextAssigned())
        for round in 0..<4 {
            try await broker.rounds { try broker.isWhole() }
            try await broker.send(.text("\(round)", to: "t"))
            #expect(try await session.nextMessages().texts == ["\(round)"])
            let leader = try Self.leader(broker)
            await broker.nodes[leader].kill()
            try await broker.nodes[leader].start()
        }
        await session.close()
        try await broker.close()
    }

    @Test("A deleted topic leaves nothing on any node, those that were down included")
    func deletes() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory)
        try await broker.send(.text("x", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        await broker.nodes[2].stop()
        try await broker.deleteTopic("t")
        try await broker.nodes[2].start()
        for node in 0..<3 { #expect(try broker.chunks(of: node).isEmpty) }
        try await broker.close()
    }

    @Test("What the leader removes for its age goes from the other nodes too, and never what is not visible yet")
    func retention() async throws {
        let directory = try TemporaryDirectory()
        let wall = ManualWallClock()
        var configuration = Broker.Configuration.replicated
        configuration.time.wall = wall.read
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", retention: Retention(time: .seconds(60)), replicationFactor: 3)
        for number in 0..<5 { try await broker.send(.text("\(number)", to: "t")) }
        try await broker.rounds { try broker.isWhole() }
        wall.advance(by: .seconds(61))
        try await broker.clean()
        #expect(try broker.describe("t").partitions[0].log == 4..<5)
        try await broker.rounds { try (0..<3).allSatisfy { try broker.chunks(of: $0).count == 1 } }
        #expect(try broker.chunks(of: 0) == broker.chunks(of: 1))
        // A new leader begins where the old one did.
        await broker.nodes[try Self.leader(broker)].kill()
        try await broker.rounds { try broker.replication("t").leader != nil }
        #expect(try broker.describe("t").partitions[0].log == 4..<5)
        try await broker.close()
    }

    @Test("A node that has lost its disk knows producers whose messages are gone, and goes on with them")
    func forgottenProducers() async throws {
        let directory = try TemporaryDirectory()
        let wall = ManualWallClock()
        var configuration = Broker.Configuration.replicated
        configuration.time.wall = wall.read
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", retention: Retention(time: .seconds(60)), replicationFactor: 3)
        let producer = try await broker.producer()
        for number in 0..<3 { try await producer.send(.text("\(number)", to: "t")) }
        try await broker.send(.text("newest", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        wall.advance(by: .seconds(61))
        try await broker.clean()
        #expect(try broker.describe("t").partitions[0].log == 3..<4)
        let node = (try Self.leader(broker) + 1) % 3
        try await broker.nodes[node].wipe()
        try await broker.nodes[node].start()
        try await broker.rounds { try broker.isWhole() }
        for other in 0..<3 where other != node { await broker.nodes[other].stop() }
        try await broker.rounds { try broker.replication("t").leader == node }
        #expect(try await producer.send(.text("3", to: "t")).offset == 4)
        let storage = try #require(broker.cluster?.nodes[node].storage)
        let uid = try #require(broker.catalog.log(of: Self.partition)).uid
        let known = try storage.read { try SequenceTable.read(uid, producer.id, in: $0, storage.tables) }
        // Had it been unknown, its sequence numbers would have begun anew.
        #expect(known?.epoch == ProducerEpoch.value(incarnation: 0, restarts: 0))
        #expect(known?.last == 3)
        try await broker.close()
    }

    @Test("Added partitions have replicas and leaders at once, take messages, and are there after a restart and a kill")
    func addedPartitions() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Self.broker(directory)
        let session = try await broker.subscribe(to: "t", as: "g").open()
        try await session.start(try await session.nextAssigned())
        // One that is down takes part once it is back.
        await broker.nodes[2].stop()
        try await broker.addPartitions(to: "t", count: 3, keysMayMove: true)
        let added = try await session.nextAssigned()
        #expect(added.map(\.partition.partition) == [1, 2])
        try await session.start(added)
        for number in 1..<3 {
            try await broker.send(.text("\(number)", to: "t", partition: number))
            #expect(try await session.nextMessages().texts == ["\(number)"])
        }
        try await broker.nodes[2].start()
        try await broker.rounds { try broker.isWhole() }
        #expect(try broker.describe("t").partitions.map { $0.replication?.inSync.count } == [3, 3, 3])
        await session.close()
        try await broker.close()
        broker = try await Self.open(directory.broker)
        #expect(try broker.describe("t").settings.partitions == 3)
        let leader = try #require(try broker.replication("t", 1).leader)
        await broker.nodes[leader].kill()
        try await broker.rounds { try broker.replication("t", 1).leader.map { $0 != leader } ?? false }
        #expect(try await broker.texts(TopicPartition("t", 1)) == ["1"])
        try await broker.deleteTopic("t")
        try await broker.nodes[leader].start()
        for node in 0..<3 { #expect(try broker.chunks(of: node).isEmpty) }
        #expect(broker.cluster?.partitions.isEmpty == true)
        try await broker.close()
    }

    @Test("Where the process ends before added partitions have leaders, the next opening gives them some")
    func partitionsWithoutLeaders() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Self.broker(directory)
        let (topic, tables) = (try #require(broker.catalog["t"]), broker.storage.tables)
        _ = try await broker.storage.write { transaction in
            try topic.alter(limit: 100, in: transaction, tables, home: nil) { $0.partitions = 2 }
        }
        try await broker.close()
        broker = try await Self.open(directory.broker)
        #expect(try broker.replication("t", 1).leader != nil)
        try await broker.send(.text("x", to: "t", partition: 1))
        #expect(try await broker.texts(TopicPartition("t", 1)) == ["x"])
        try await broker.close()
    }

    @Test("Topics that are made, widened and deleted at the same time leave nothing behind that is not there")
    func topicsAtOnce() async throws {
        let broker = try await Broker.inMemory(configuration: .replicated)
        try await withThrowingTaskGroup { group in
            for number in 0..<6 {
                group.addTask {
                    let name = "t\(number % 2)"
                    for _ in 0..<4 {
                        do {
                            try await broker.createTopic(name, replicationFactor: 2)
                            try await broker.addPartitions(to: name, count: 2, keysMayMove: true)
                            try await broker.deleteTopic(name)
                        } catch let error as BrokerError
                            where [.unknownTopic, .invalidArgument, .topicExists].contains(error.code)
                        {
                            continue
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        for name in broker.topics() { try await broker.deleteTopic(name) }
        #expect(broker.cluster?.partitions.isEmpty == true)
        for uid in 0..<100 { #expect(broker.cluster?.leadership(of: UInt32(uid)) == nil) }
        try await broker.close()
    }

    @Test("More replicas than nodes, and more in sync than replicas, are refused")
    func refusals() async throws {
        let broker = try await Broker.inMemory(configuration: .replicated)
        for (factor, minimum) in [(4, 1), (2, 3), (0, 0), (3, 0)] {
            let error = await #expect(throws: BrokerError.self) {
                try await broker.createTopic("t", replicationFactor: factor, minInSyncReplicas: minimum)
            }
            #expect(error?.code == .invalidArgument)
        }
        try await broker.close()
    }

    @Test("A send without confirmation returns at once, and what it sent is there when nothing dies")
    func unconfirmed() async throws {
        let broker = try await Broker.inMemory(configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 3, minInSyncReplicas: 2)
        let place = try await broker.send(.text("x", to: "t"), acks: .none)
        #expect(place.offset == -1)
        try await broker.rounds { try broker.describe("t").partitions[0].log == 0..<1 }
        #expect(try await broker.texts(Self.partition) == ["x"])
        try await broker.close()
    }
}
