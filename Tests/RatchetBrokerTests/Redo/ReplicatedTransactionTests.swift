import MetricsTestKit
import Ratchet
import Synchronization
import Testing

@testable import RatchetBroker

@Suite("Transactions over several nodes", .timeLimit(.minutes(30)))
struct ReplicatedTransactionTests {
    private struct Abandoned: Error {}

    private static func broker(_ configuration: Broker.Configuration = .replicated) async throws -> Broker {
        let broker = try await Broker.inMemory(configuration: configuration)
        for topic in ["in", "a", "b"] {
            try await broker.createTopic(topic, partitions: 2, replicationFactor: 3, minInSyncReplicas: 2)
        }
        try await broker.rounds { try broker.isWhole() }
        return broker
    }

    private static func settings(_ timeout: Duration = .seconds(60)) -> ProducerSettings {
        var settings = ProducerSettings(transactionalID: "p")
        settings.retryDelay = .milliseconds(1)
        settings.maximumRetryDelay = .milliseconds(5)
        settings.transactionTimeout = timeout
        return settings
    }

    private static func all(_ broker: Broker) async throws -> [String] {
        var texts: [String] = []
        for topic in ["a", "b"] {
            for number in 0..<2 { texts += try await broker.texts(TopicPartition(topic, number)) }
        }
        return texts
    }

    /// Nodes that do not lead the partition take so long.
    private static func slowFollowers(of topic: String, _ broker: Broker, by delay: Duration?) throws {
        let leader = try #require(try broker.replication(topic).leader)
        for node in broker.nodes where node.number != leader || delay == nil { node.slowDown(by: delay) }
    }

    /// Lets time pass until the body is over.
    private static func passing<R: Sendable>(
        _ clock: ManualClock,
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        let isOver = Latch()
        async let result = {
            defer { isOver.open() }
            return try await body()
        }()
        while !isOver.isOpen {
            clock.advance(by: .seconds(1))
            await Task.yield()
        }
        return try await result
    }

    @Test("A transaction can be read as a whole when it returns, and nothing of one that was aborted is there")
    func commit() async throws {
        let broker = try await Self.broker()
        let producer = try await broker.producer(Self.settings())
        await #expect(throws: Abandoned.self) {
            try await producer.transaction { transaction in
                try transaction.send(.text("gone", to: "a"))
                throw Abandoned()
            }
        }
        for round in 0..<3 {
            try await producer.transaction { transaction in
                for number in 0..<4 {
                    try transaction.send(.text("\(round)", to: number % 2 == 0 ? "a" : "b", partition: number / 2))
                }
            }
            #expect(try await Self.all(broker).count == 4 * (round + 1))
        }
        #expect(try await Self.all(broker) == Array(repeating: ["0", "1", "2"], count: 4).flatMap { $0 })
        // Nothing is left to be done, on the disk either.
        try await broker.storage.write { _ in }
        let tables = broker.storage.tables
        #expect(try broker.storage.read { try $0.count(tables.redo) } == 0)
        try await broker.rounds { try broker.isWhole() }
        #expect(try broker.chunks(of: 0) == broker.chunks(of: 1) && broker.chunks(of: 1) == broker.chunks(of: 2))
        try await broker.close()
    }

    @Test("Offsets move with the messages, or not at all, and alone")
    func offsets() async throws {
        let broker = try await Self.broker()
        for number in 0..<4 { try await broker.send(.text("\(number)", to: "in", partition: 0)) }
        let input = TopicPartition("in", 0)
        let session = try await broker.subscribe(to: "in", as: "g").open()
        let generation = try await session.nextAssigned()[0].generation
        let producer = try await broker.producer(Self.settings())
        func commit(_ offset: Int64, _ generation: Int64, _ texts: [String]) async throws {
            try await producer.transaction { transaction in
                for text in texts { try transaction.send(.text(text, to: "a", partition: 0)) }
                let commit = OffsetCommit(partition: input, offset: offset, generation: generation, metadata: "")
                try transaction.commit([commit], of: session)
            }
        }
        try await commit(2, generation, ["there"])
        #expect(try broker.offsets(group: "g")[input]?.offset == 2)
        let error = await #expect(throws: SourceError.self) { try await commit(3, generation - 1, ["never"]) }
        #expect(error?.code == .fenced)
        try await commit(3, generation, [])
        #expect(try broker.offsets(group: "g")[input]?.offset == 3)
        #expect(try await Self.all(broker) == ["there"])
        try await broker.close()
    }

    @Test("With too few in sync, or no leader, nothing of a transaction is written, and it can be tried again")
    func refused() async throws {
        let broker = try await Self.broker()
        let producer = try await broker.producer(Self.settings(.milliseconds(50)))
        let leader = try #require(try broker.replication("a").leader)
        let others = (0..<3).filter { $0 != leader }
        for node in others { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("a").inSync == [leader] }
        let few = await #expect(throws: BrokerError.self) {
            try await producer.transaction { try $0.send(.text("x", to: "a", partition: 0)) }
        }
        #expect(few?.code == .notEnoughReplicas)
        await broker.nodes[leader].stop()
        let none = await #expect(throws: BrokerError.self) {
            try await producer.transaction { try $0.send(.text("y", to: "a", partition: 0)) }
        }
        #expect(none?.code == .leaderNotAvailable)
        for node in broker.nodes { try await node.start() }
        try await broker.rounds { try broker.isWhole() }
        #expect(try await Self.all(broker).isEmpty)
        let other = try await broker.producer(Self.settings())
        try await other.transaction { try $0.send(.text("z", to: "a", partition: 0)) }
        #expect(try await Self.all(broker) == ["z"])
        try await broker.close()
    }

    @Test("One that is committed and cannot be read in time says so, and is there once, later, before the next one")
    func notYetVisible() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.replicated
        configuration.clock = clock
        configuration.replicaLagTime = .seconds(1_000_000)
        let metrics = TestMetrics()
        configuration.metrics = metrics
        let broker = try await Self.broker(configuration)
        let producer = try await broker.producer(Self.settings())
        let gauge = try metrics.expectGauge("ratchet.broker.decided", [("messaging.system", "ratchet")])
        try Self.slowFollowers(of: "a", broker, by: .seconds(3600))
        let error = await #expect(throws: BrokerError.self) {
            try await Self.passing(clock) {
                try await producer.transaction { try $0.send(.text("late", to: "a", partition: 0)) }
            }
        }
        #expect(error?.code == .notYetVisible && error?.isRetriable == false)
        #expect(gauge.lastValue == 1)
        #expect(try await Self.all(broker).isEmpty)
        // One that dies as the leader may have it or not: it goes to the next one.
        await broker.nodes[try #require(try broker.replication("a").leader)].kill()
        for node in broker.nodes { node.slowDown(by: nil) }
        try await broker.rounds { try broker.replication("a").leader != nil }
        try await producer.transaction { try $0.send(.text("next", to: "a", partition: 0)) }
        #expect(try await Self.all(broker) == ["late", "next"])
        while gauge.lastValue != 0 { await Task.yield() }
        try await broker.close()
    }

    @Test("What a deleted topic was to get is gone with it; the other topics have theirs")
    func deletedTopic() async throws {
        let broker = try await Self.broker()
        let producer = try await broker.producer(Self.settings())
        for node in broker.nodes { node.slowDown(by: .seconds(3600)) }
        async let result: Void = producer.transaction { transaction in
            try transaction.send(.text("gone", to: "a", partition: 0))
            try transaction.send(.text("stays", to: "b", partition: 0))
        }
        while broker.cluster?.redo.owners.isEmpty ?? false { await Task.yield() }
        try await broker.deleteTopic("a")
        for node in broker.nodes { node.slowDown(by: nil) }
        try await result
        #expect(try await broker.texts(TopicPartition("b", 0)) == ["stays"])
        let late = await #expect(throws: MessageError.self) {
            try await producer.transaction { try $0.send(.text("x", to: "a")) }
        }
        #expect(late?.code == .unknownTopic)
        try await broker.close()
    }

    @Test("A transaction of a broker that is closed is not tried again")
    func closed() async throws {
        let broker = try await Self.broker()
        let producer = try await broker.producer(Self.settings())
        try await broker.close()
        let error = await #expect(throws: BrokerError.self) {
            try await producer.transaction { try $0.send(.text("x", to: "a")) }
        }
        #expect(error?.code == .closed)
    }

    @Test("A transaction that is larger than a chunk is there in order and once")
    func large() async throws {
        let broker = try await Self.broker()
        let producer = try await broker.producer(Self.settings())
        let padding = String(repeating: "x", count: 400_000)
        let texts = (0..<14).map { "\($0) \(padding)" }
        try await producer.transaction { transaction in
            for text in texts { try transaction.send(.text(text, to: "a", partition: 1)) }
        }
        #expect(try await broker.texts(TopicPartition("a", 1)) == texts)
        try await broker.close()
    }

    @Test("What is committed and waits for its nodes is bounded: others are refused, and have written nothing")
    func bounds() async throws {
        var configuration = Broker.Configuration.replicated
        configuration.maximumPendingBytes = 1000
        let broker = try await Self.broker(configuration)
        let first = try await broker.producer(Self.settings())
        var others = Self.settings(.milliseconds(50))
        others.transactionalID = "q"
        let second = try await broker.producer(others)
        try Self.slowFollowers(of: "a", broker, by: .seconds(3600))
        async let waits: Void = first.transaction {
            try $0.send(.text(String(repeating: "x", count: 900), to: "a", partition: 0))
        }
        while broker.cluster?.redo.owners.isEmpty ?? false { await Task.yield() }
        let error = await #expect(throws: BrokerError.self) {
            try await second.transaction { try $0.send(.text(String(repeating: "y", count: 200), to: "b")) }
        }
        #expect(error?.code == .full && error?.isRetriable == true)
        try Self.slowFollowers(of: "a", broker, by: nil)
        try await waits
        try await second.transaction { try $0.send(.text("z", to: "b", partition: 0)) }
        #expect(try await Self.all(broker).map(\.count) == [900, 1])
        try await broker.close()
    }
}
