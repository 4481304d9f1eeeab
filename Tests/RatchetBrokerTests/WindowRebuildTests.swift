import Logging
import Ratchet
import ServiceLifecycle
import Testing

@testable import RatchetBroker

@Suite("A partition that another ledger has had", .timeLimit(.minutes(30)))
struct WindowRebuildTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let effects = StateTable<String, Int>("effects")
    private static let topic = "orders"

    private static func ledger(at path: String) throws -> Ledger {
        var configuration = Ledger.Configuration.small
        configuration.isDurable = false
        configuration.logger = logger
        return try Ledger(at: path, configuration: configuration)
    }

    /// Consumes all that the topic holds, into a ledger.
    private static func consume(_ broker: Broker, into ledger: Ledger) async throws -> PipelineStatistics {
        var configuration = PipelineConfiguration()
        configuration.logger = logger
        configuration.resume.lineage = .rebuild
        let pipeline = Pipeline(
            "billing",
            from: broker.subscribe(to: topic, as: "billing"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .field { $0.text },
            configuration: configuration,
            transactional: { message, transaction in
                try transaction.update(effects, message.text, default: 0) { $0 += 1 }
            }
        )
        var ends: [TopicPartition: Int64] = [:]
        for partition in try broker.describe(topic).partitions { ends[partition.partition] = partition.log.upperBound }
        let end = ends
        let services = ServiceGroup(services: [pipeline], logger: logger)
        try await withThrowingTaskGroup { group in
            group.addTask { try await services.run() }
            await pipeline.settled(through: end)
            // It commits, under its ledger's id.
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
        return pipeline.statistics
    }

    @Test("What one ledger has done is done for the next one, too, in whichever partition it comes again")
    func takenOver() async throws {
        let directory = try TemporaryDirectory()
        var configuration = Broker.Configuration.quiet
        configuration.maximumFetchMessages = 50
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic(Self.topic, partitions: 4)
        let ids = (0..<1_000).map { "order \($0)" }
        try await broker.send(ids.map { .text($0, to: Self.topic, key: $0) })
        let first = try Self.ledger(at: directory.other)
        #expect(try await Self.consume(broker, into: first).processed == 1_000)
        await first.close()
        // Every third one comes once more, in another partition, and some that are new.
        let repeats = stride(from: 0, to: 1_000, by: 3).map { "order \($0)" }
        try await broker.send(repeats.map { .text($0, to: Self.topic, key: "other \($0)") })
        try await broker.send((1_000..<1_100).map { .text("order \($0)", to: Self.topic, key: "\($0)") })
        let second = try Self.ledger(at: directory.broker)
        let statistics = try await Self.consume(broker, into: second)
        #expect(statistics.passed == 1_000)
        #expect(statistics.processed == 100)
        #expect(statistics.duplicates == repeats.count)
        #expect(try second.reader.get(Self.effects, "order 3") == nil)
        #expect(try second.reader.get(Self.effects, "order 1000") == 1)
        await second.close()
        try await broker.close()
    }

    @Test(
        "A log is read again from its first message on where retention has removed what came before, and no further than asked"
    )
    func trimmed() async throws {
        let wallClock = ManualWallClock()
        var configuration = Broker.Configuration.quiet
        configuration.time.wall = wallClock.read
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic(Self.topic, retention: Retention(time: .seconds(10)))
        try await broker.send((0..<6).map { .text("\($0)", to: Self.topic) })
        wallClock.advance(by: .seconds(11))
        try await broker.send((6..<10).map { .text("\($0)", to: Self.topic) })
        let session = try await broker.subscribe(to: Self.topic, as: "billing").open()
        let assignments = try await session.nextAssigned()
        let partition = try #require(assignments.first).partition
        let again = try #require(session as? any RereadableSession)
        #expect(try await again.messages(from: 2, to: 5, of: partition)?.texts == ["2", "3", "4"])
        #expect(try await again.messages(from: 5, to: 5, of: partition) == nil)
        #expect(try await again.messages(from: 8, to: 1_000, of: partition)?.texts == ["8", "9"])
        #expect(try await again.messages(from: 10, to: 1_000, of: partition) == nil)
        try await broker.clean()
        #expect(try await again.messages(from: 2, to: 8, of: partition)?.texts == ["6", "7"])
        #expect(try await again.messages(from: 2, to: 6, of: partition) == nil)
        await #expect(throws: SourceError.self) {
            try await again.messages(from: 0, to: 1, of: TopicPartition("orders", 7))
        }
        await session.close()
        try await broker.close()
    }
}
