import LMDB
import Logging
import Seeds
import Testing

@testable import Ratchet
@testable import RatchetBroker

@Suite("Fuzzing: a broker's directory", .fuzzing)
struct StoredBrokerTests {
    private static var configuration: Broker.Configuration {
        var configuration = Broker.Configuration()
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configuration.isDurable = false
        configuration.maximumBytes = 64 << 20
        return configuration
    }

    private static let tables = [
        "meta", "topics", "log", "partitions", "offsets", "groups", "shared", "garbage", "transients", "producers",
        "sequences", "replication", "redo",
    ].map { (name: $0, keys: KeyOrder.bytes) }

    private static func make(at path: String) async throws {
        let broker = try await Broker(at: path, configuration: configuration)
        for topic in ["t", "u"] {
            try await broker.createTopic(topic, partitions: 2, retention: Retention(bytes: 1 << 20))
            for number in 0..<6 {
                let text = Array("\(topic) \(number)".utf8)
                try await broker.send(OutgoingMessage(to: topic, key: text, payload: text, partition: number % 2))
            }
        }
        let text = Array("t 6".utf8)
        try await broker.send(
            OutgoingMessage(to: "t", key: text, payload: text, partition: 0, isPersistent: false)
        )
        let session = try await broker.subscribe(to: "t", as: "g").open()
        guard case .assigned(let assignments) = try await session.next() else { return }
        try await session.commit(
            assignments.map { .init(partition: $0.partition, offset: 2, generation: $0.generation, metadata: "m") }
        )
        let consumer = try await broker.queue("t", as: "q").consumer()
        try await consumer.ack(try await consumer.next()[0].tag)
        for name in ["a", "b"] {
            let producer = try await broker.producer(ProducerSettings(transactionalID: name))
            try await producer.send(OutgoingMessage(to: "u", key: "p \(name)", payload: Array("p \(name)".utf8)))
        }
        try await broker.close()
    }

    @Test("A damaged row is reported or harmless, and never a message that was not sent", arguments: Seed.some(1))
    func rows(seed: Seed) async throws {
        let scratch = try Scratch()
        try await Self.make(at: scratch.path("broker"))
        let stored = try StoredRows(at: scratch.path("broker"), Self.tables)
        try await Fuzz.run("broker-directory", seed, rounds: 150) { random in
            try stored.write(stored.damaged(&random).rows)
            guard let broker = try? await Broker(at: stored.path, configuration: Self.configuration) else { return }
            await Self.use(broker)
            try await broker.close()
        }
    }

    private static var replicated: Broker.Configuration {
        var configuration = configuration
        configuration.nodes = 3
        return configuration
    }

    @Test("A damaged row of a broker or of one of its nodes is reported or harmless", arguments: Seed.some(1))
    func replicas(seed: Seed) async throws {
        let scratch = try Scratch()
        let path = scratch.path("broker")
        let made = try await Broker(at: path, configuration: Self.replicated)
        try await made.createTopic("t", partitions: 2, replicationFactor: 3, minInSyncReplicas: 2)
        let producer = try await made.producer(ProducerSettings(transactionalID: "a"))
        for number in 0..<6 {
            let text = Array("t \(number)".utf8)
            try await producer.send(OutgoingMessage(to: "t", key: text, payload: text, partition: number % 2))
        }
        // As a crash leaves what is decided and not in its log yet.
        let decided = try OutgoingBatch([OutgoingMessage(to: "t", key: "r 1", payload: Array("r 1".utf8), partition: 1)]
        )
        let routed = RoutedBatch(decided, catalog: made.catalog, now: 0)
        let tables = made.storage.tables
        _ = try await made.storage.write { try RedoTable.write(routed, owner: nil, in: $0, tables) }
        try await made.close()
        let stored = try ([path] + (1...3).map { "\(path)/node-\($0)" }).map { try StoredRows(at: $0, Self.tables) }
        try await Fuzz.run("replicated-directory", seed, rounds: 60) { random in
            let changed = random.below(stored.count)
            for (number, rows) in stored.enumerated() {
                try rows.write(number == changed ? rows.damaged(&random).rows : rows.rows)
            }
            guard let broker = try? await Broker(at: path, configuration: Self.replicated) else { return }
            await Self.use(broker)
            try await broker.close()
        }
    }

    /// What it answers is right; that it refuses is right as well.
    private static func use(_ broker: Broker) async {
        for topic in broker.topics() {
            for partition in (try? broker.describe(topic))?.partitions ?? [] {
                let log = try? broker.read(partition.partition, maximumMessages: 4)
                var batches = log?.makeAsyncIterator()
                while let batch = try? await batches?.next() {
                    for index in 0..<batch.count {
                        let message = batch[index]
                        #expect(message.key == message.payload && message.text.count == 3)
                    }
                }
            }
            _ = try? await broker.send([OutgoingMessage(to: topic, key: "x y", payload: Array("x y".utf8))])
            _ = try? await broker.send([OutgoingMessage(to: topic, payload: [])])
        }
        if let producer = try? await broker.producer(ProducerSettings(transactionalID: "a")) {
            _ = try? await producer.send(OutgoingMessage(to: "u", key: "x y", payload: Array("x y".utf8)))
        }
        _ = try? broker.offsets(group: "g")
        if let partitions = try? broker.describe("t").partitions, !partitions.isEmpty {
            let session = try? await broker.subscribe(to: "t", as: "g").open()
            _ = try? await session?.next()
        }
        let consumer = try? await broker.queue("t", as: "q").consumer()
        consumer?.close()
        _ = try? await broker.createTopic("v", partitions: 2)
        _ = try? await broker.deleteTopic("t")
    }
}
