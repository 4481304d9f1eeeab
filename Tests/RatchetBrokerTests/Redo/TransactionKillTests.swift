import Ratchet
import Seeds
import Synchronization
import Testing

@testable import RatchetBroker

/// Transactions while leaders are killed, cut off, slow and lose their disks, on real files.
@Suite("Transactions and leader kills", .timeLimit(.minutes(30)))
struct TransactionKillTests {
    private struct Abandoned: Error {}

    private static let partitions = LeaderKillTests.partitions

    @Test("All of a committed transaction is there, once and in order, nothing of an aborted or fenced one")
    func kills() async throws {
        let seed = Seed.some(1)[0]
        let directory = try TemporaryDirectory()
        var configuration = Broker.Configuration.replicated
        // Each start would read all that there is.
        configuration.checksFile = false
        configuration.replicationTimeout = .seconds(300)
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", partitions: Self.partitions, replicationFactor: 3, minInSyncReplicas: 2)
        let committed = (0..<3).map { _ in LeaderKillTests.Confirmed() }
        let isOver = Latch()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<3 {
                group.addTask { try await Self.commit(to: broker, "p\(number)", committed[number], isOver) }
            }
            group.addTask {
                defer { isOver.open() }
                var executioner = Executioner(broker, seed)
                try await executioner.run(LeaderKillTests.kills / 3)
            }
            try await group.waitForAll()
        }
        try await broker.rounds { try broker.isWhole() }
        try await Self.check(broker, committed, seed)
        for node in 1..<3 { #expect(try broker.chunks(of: node) == broker.chunks(of: 0), "node \(node), \(seed)") }
        try await broker.close()
        let reopened = try await Broker(at: directory.broker, configuration: .replicated)
        try await Self.check(reopened, committed, seed)
        try await reopened.close()
    }

    /// One transaction after the other, some of them abandoned; and now and then another producer takes over.
    private static func commit(
        to broker: Broker,
        _ name: String,
        _ committed: LeaderKillTests.Confirmed,
        _ isOver: Latch
    ) async throws {
        var settings = ProducerSettings(transactionalID: name)
        settings.transactionTimeout = .seconds(300)
        settings.retryDelay = .milliseconds(1)
        settings.maximumRetryDelay = .milliseconds(5)
        var producer = try await broker.producer(settings)
        var next = 0
        func transaction(_ text: String, _ producer: Producer, isAbandoned: Bool = false) async throws {
            try await producer.transaction { transaction in
                for number in 0..<partitions { try transaction.send(.text(text, to: "t", partition: number)) }
                if isAbandoned { throw Abandoned() }
            }
        }
        while !isOver.isOpen {
            next += 1
            switch next % 10 {
            case 3: do { try await transaction("\(name) abandoned", producer, isAbandoned: true) } catch is Abandoned {}
            case 7:
                let zombie = producer
                producer = try await broker.producer(settings)
                let error = await #expect(throws: BrokerError.self) { try await transaction("\(name) zombie", zombie) }
                #expect(error?.code == .fenced)
            default:
                try await transaction("\(name) \(next)", producer)
                committed.add("\(name) \(next)")
            }
        }
    }

    private static func check(
        _ broker: Broker,
        _ committed: [LeaderKillTests.Confirmed],
        _ seed: Seed
    ) async throws {
        for number in 0..<partitions {
            let texts = try await broker.texts(TopicPartition("t", number))
            for (producer, confirmed) in committed.enumerated() {
                let own = texts.filter { $0.hasPrefix("p\(producer) ") }
                #expect(!own.isEmpty && own == confirmed.all, "p\(producer) in partition \(number), \(seed)")
            }
        }
    }
}
