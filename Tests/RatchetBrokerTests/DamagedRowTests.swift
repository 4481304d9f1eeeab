import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("A damaged row of one partition holds up no other one", .timeLimit(.minutes(2)))
struct DamagedRowTests {
    private static let (damaged, sound) = (TopicPartition("damaged", 0), TopicPartition("sound", 0))

    /// A broker with two topics, and some old messages in each.
    private static func broker(_ wall: ManualWallClock) async throws -> Broker {
        var configuration = Broker.Configuration.quiet
        configuration.time.wall = wall.read
        let broker = try await Broker.inMemory(configuration: configuration)
        for partition in [damaged, sound] {
            try await broker.createTopic(partition.topic, retention: Retention(time: .seconds(60)))
            for number in 0..<3 { try await broker.send(.text("\(number)", to: partition.topic)) }
        }
        return broker
    }

    /// Flips a bit of a row.
    private static func damage(_ key: [UInt8], in table: Table, of broker: Broker) async throws {
        try await broker.storage.write { transaction in
            try key.withUnsafeBytes { key in
                var bytes = Array(try #require(try transaction.get(key, in: table)))
                bytes[0] ^= 1
                _ = try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: table) }
            }
        }
    }

    private static func uid(_ broker: Broker) throws -> UInt32 { try #require(broker.catalog.log(of: damaged)).uid }

    private static func damageRow(_ broker: Broker) async throws {
        var key: [UInt8] = []
        key.appendBigEndian(try uid(broker))
        try await damage(key, in: broker.storage.tables.partitions, of: broker)
    }

    @Test("Retention goes on with the others")
    func retention() async throws {
        let wall = ManualWallClock()
        let broker = try await Self.broker(wall)
        try await Self.damageRow(broker)
        wall.advance(by: .seconds(61))
        try await broker.clean()
        #expect(try broker.describe("sound").partitions[0].log == 2..<3)
        #expect(try broker.describe("damaged").partitions[0].log == 0..<3)
        #expect(try await broker.texts(Self.damaged) == ["0", "1", "2"], "messages have checksums of their own")
        try await broker.close()
    }

    @Test("A write that fails for once does not end what looks for timeouts and retention")
    func running() async throws {
        let (clock, wall, lines) = (ManualClock(), ManualWallClock(), LoggedLines())
        var configuration = Broker.Configuration.quiet
        (configuration.clock, configuration.time.wall, configuration.logger) = (clock, wall.read, lines.logger)
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", retention: Retention(time: .seconds(60)))
        for number in 0..<3 { try await broker.send(.text("\(number)", to: "t")) }
        wall.advance(by: .seconds(61))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await broker.run() }
            await clock.waitForSleeper()
            let gate = await broker.storage.blocked()
            clock.advance(by: configuration.retentionInterval)
            while broker.storage.waitingPieces < 1 { await Task.yield() }
            broker.storage.submit(FailingPiece())
            gate.open()
            while lines.errors.isEmpty { await Task.yield() }
            await clock.waitForSleeper()
            #expect(try broker.describe("t").partitions[0].log == 0..<3)
            clock.advance(by: configuration.retentionInterval)
            while try broker.describe("t").partitions[0].log != 2..<3 { await Task.yield() }
            group.cancelAll()
            try await group.waitForAll()
        }
        try await broker.close()
    }

    @Test("Sends that share a commit with one to it are written; that one is told why it is not")
    func sends() async throws {
        let broker = try await Self.broker(ManualWallClock())
        try await Self.damageRow(broker)
        let (gate, failures) = (await broker.storage.blocked(), Notes<String>())
        for topic in ["sound", "damaged", "sound"] {
            let batch = try OutgoingBatch([.text("new", to: topic)])
            let routed = RoutedBatch(batch, catalog: broker.catalog, now: 0)
            broker.appender.submit(
                Appender.Request(routed) { result in
                    guard case .failure(let error) = result else { return }
                    failures.add("\(topic): \((error as? BrokerError)?.code.description ?? "\(error)")")
                }
            )
        }
        gate.open()
        try await broker.storage.write { _ in }
        #expect(failures.all == ["damaged: corrupted"])
        #expect(try await broker.texts(Self.sound) == ["0", "1", "2", "new", "new"])
        try await broker.close()
    }

    @Test("What is known of one producer is damaged: that one cannot send there, and idle ones are forgotten as ever")
    func producers() async throws {
        let broker = try await Self.broker(ManualWallClock())
        let producer = try await broker.producer()
        for partition in [Self.damaged, Self.sound] { try await producer.send(.text("3", to: partition.topic)) }
        let key = LogKey(try Self.uid(broker), producer.id).withBytes { Array($0) }
        try await Self.damage(key, in: broker.storage.tables.sequences, of: broker)
        try await broker.cleanProducers()
        let error = await #expect(throws: BrokerError.self) { try await producer.send(.text("4", to: "damaged")) }
        #expect(error?.code == .corrupted)
        try await producer.send(.text("4", to: "sound"))
        try await broker.send(.text("by another", to: "damaged"))
        try await broker.close()
    }
}
