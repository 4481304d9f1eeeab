import Ratchet
import Synchronization
import Testing

@testable import RatchetBroker

@Suite("A broker of several nodes that is opened again", .timeLimit(.minutes(30)))
struct ReopeningTests {
    @Test(
        "Nobody from outside of the in-sync set leads while an in-sync replica is only not started yet",
        arguments: 0..<3
    )
    func uncleanElections(survivor: Int) async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 3, allowsUncleanElection: true)
        try await broker.send(.text("on all", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        for node in 0..<3 where node != survivor { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").inSync == [survivor] }
        try await broker.send(.text("on one", to: "t"))
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .replicated)
        #expect(try await next.texts(TopicPartition("t", 0)) == ["on all", "on one"])
        try await next.close()
    }

    @Test("Once all nodes have had their turn an unclean election brings a leader where the in-sync disks are lost")
    func lostDisk() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 3, allowsUncleanElection: true)
        try await broker.send(.text("on all", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        let leader = try #require(try broker.replication("t").leader)
        for node in 0..<3 where node != leader { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").inSync == [leader] }
        try await broker.send(.text("on one", to: "t"))
        try await broker.nodes[leader].wipe()
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .replicated)
        try await next.rounds { try next.isWhole() }
        // Of those that may lack something, not the one that has nothing.
        #expect(try await next.texts(TopicPartition("t", 0)) == ["on all"])
        try await next.close()
    }

    /// As a disk does that has lost its mind.
    private static func overwrite(node: Int, of directory: TemporaryDirectory) throws {
        let bytes = [UInt8](repeating: 0xA5, count: 1 << 14)
        try TestFile.overwrite("\(directory.broker)/node-\(node + 1)/data.mdb", bytes)
    }

    @Test("A node whose files cannot be read is down, the others serve, and wiped it gets all of it again")
    func unreadableNode() async throws {
        let (directory, lines) = (try TemporaryDirectory(), LoggedLines())
        var configuration = Broker.Configuration.replicated
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", replicationFactor: 3, minInSyncReplicas: 2)
        try await broker.send(.text("before", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        try await broker.close()
        try Self.overwrite(node: 1, of: directory)
        configuration.logger = lines.logger
        let next = try await Broker(at: directory.broker, configuration: configuration)
        #expect(next.nodes.map(\.isRunning) == [true, false, true])
        #expect(lines.errors.count { $0.contains("node cannot be opened") } == 1, "\(lines.errors)")
        try await next.send(.text("meanwhile", to: "t"))
        #expect(try await next.texts(TopicPartition("t", 0)) == ["before", "meanwhile"])
        await #expect(throws: BrokerError.self) { try await next.nodes[1].start() }
        try await next.nodes[1].wipe()
        try await next.nodes[1].start()
        try await next.rounds { try next.isWhole() }
        #expect(try next.chunks(of: 1) == next.chunks(of: 0))
        try await next.close()
    }

    @Test("Where no node can be opened, the broker cannot")
    func noNode() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 3)
        try await broker.close()
        for node in 0..<3 { try Self.overwrite(node: node, of: directory) }
        await #expect(throws: BrokerError.self) {
            try await Broker(at: directory.broker, configuration: .replicated).close()
        }
    }

    @Test("Nodes that are full are opened, can be read, and take messages again once there is room")
    func full() async throws {
        let directory = try TemporaryDirectory()
        var configuration = Broker.Configuration.replicated
        configuration.maximumBytes = 1 << 20
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", replicationFactor: 3)
        let message = OutgoingMessage(to: "t", payload: Array(repeating: 1, count: 10_000))
        let error = await #expect(throws: BrokerError.self) { while true { try await broker.send(message) } }
        #expect(error?.code == .full)
        let end = try broker.logEnds(of: "t")
        try await broker.close()
        configuration.maximumBytes = 1 << 19
        let next = try await Broker(at: directory.broker, configuration: configuration)
        #expect(try next.logEnds(of: "t") == end)
        try await next.deleteTopic("t")
        try await next.createTopic("t", replicationFactor: 3)
        try await next.send(message)
        try await next.close()
    }

    @Test("Followers keep up with a leader whose log is nearly as large as it may be")
    func followersNearTheQuota() async throws {
        let directory = try TemporaryDirectory()
        var configuration = Broker.Configuration.replicated
        configuration.maximumBytes = 4 << 20
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic(
            "t",
            retention: Retention(time: nil, bytes: 13 << 18),
            replicationFactor: 3,
            minInSyncReplicas: 3
        )
        let message = OutgoingMessage(to: "t", payload: Array(repeating: 1, count: 16_000))
        for _ in 0..<400 { try await broker.send(message, acks: .leader) }
        try await broker.rounds(500) { try broker.isWhole() }
        try await broker.close()
    }

    @Test("What a node was given as it was being stopped makes way for what it has when it is started again")
    func lives() async throws {
        let (old, new) = (
            try await Broker.inMemory(configuration: .quiet), try await Broker.inMemory(configuration: .quiet)
        )
        let log = PartitionLog(
            uid: 1,
            partition: TopicPartition("t", 0),
            settings: TopicSettings(),
            row: PartitionRow(),
            home: nil,
            isReplicated: true
        )
        let partition = ReplicatedPartition(log, nodes: 1, clock: BrokerClock(ContinuousClock()))
        for (life, storage) in [(1, old.storage), (2, new.storage)] {
            let replica = Replica(node: 0, life: life, log: .init(), highWatermark: 0, lagTime: .seconds(10))
            partition.join(0, replica, storage)
        }
        #expect(partition.state.withLock { $0.members[0]?.storage === new.storage })
        try await old.close()
        try await new.close()
    }

    @Test("A damaged chunk of one partition keeps no follower of another one behind")
    func damage() async throws {
        let broker = try await Broker.inMemory(configuration: .replicated)
        for topic in ["t", "u"] { try await broker.createTopic(topic, replicationFactor: 3) }
        let leaders = try ["t", "u"].map { try #require(try broker.replication($0).leader) }
        let follower = try #require((0..<3).first { !leaders.contains($0) })
        broker.nodes[follower].slowDown(by: .seconds(3600))
        let cluster = try #require(broker.cluster)
        for topic in ["t", "u"] { try await broker.send(.text("x", to: topic), acks: .leader) }
        for leader in leaders { try await cluster.nodes[leader].storage?.write { _ in } }
        let storage = try #require(cluster.nodes[leaders[0]].storage)
        let log = try #require(broker.catalog.log(of: TopicPartition("t", 0)))
        try await storage.write { transaction in
            try LogKey(log.uid, 0).withBytes { key in
                var bytes = Array(try #require(try transaction.get(key, in: storage.tables.log)))
                bytes[bytes.count - 1] ^= 1
                _ = try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: storage.tables.log) }
            }
        }
        broker.nodes[follower].slowDown(by: nil)
        try await cluster.nodes[follower].storage?.write { _ in }
        let uid = try #require(broker.catalog.log(of: TopicPartition("u", 0))).uid
        let copied = try broker.chunks(of: follower).map { $0.key.withUnsafeBytes { LogKey($0) } }
        #expect(copied == [LogKey(uid, 0)])
        try await broker.close()
    }
}
