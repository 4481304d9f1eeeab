import Ratchet
import Seeds
import Synchronization
import Testing

@testable import RatchetBroker

@Suite("Broker: flipped bits")
struct BrokerFlipTests {
    @Test("A bit that flips anywhere in a broker's file is reported, or changes no answer", arguments: Seed.some(1))
    func everywhere(seed: Seed) async throws {
        let scratch = try TemporaryDirectory()
        try await FlippedBroker.make(at: scratch.broker)
        let file = scratch.broker + "/data.mdb"
        let report = try await FlippedFile.report(on: file, in: scratch.path, seed: seed, as: "flip.broker") {
            path,
            seed in
            await #expect(processExitsWith: .success) { [path = path as String, seed = seed as UInt64] in
                let flips = try Flips(in: path, seed: Seed(value: seed))
                try await flips.run(isTyped: FlippedBroker.isTyped) { try await FlippedBroker.content(of: $0) }
            }
        }
        #expect(report.findings == 0, "\(report), \(seed)")
        #expect(report.refused > report.injected / 20, "\(report), \(seed)")
    }
}

/// A small broker with topics of few and of many messages, a group, a producer, a queue, and a deleted topic.
private enum FlippedBroker {
    /// Ids are the same in each process.
    private static func open(_ path: String, ids: UInt64) async throws -> Broker {
        var configuration = Broker.Configuration.quiet
        configuration.isDurable = false
        configuration.maximumBytes = 1 << 28
        let random = Mutex(SeededRandom(state: ids))
        configuration.random = { random.withLock { $0.next() } }
        return try await Broker(at: path, configuration: configuration)
    }

    static func isTyped(_ error: any Error) -> Bool { error is BrokerError || error is SourceError }

    static func make(at path: String) async throws {
        let broker = try await open(path, ids: 1)
        for (topic, size) in [("small", 3), ("gone", 10), ("large", 1200)] {
            try await broker.createTopic(topic, partitions: 2)
            let messages = (0..<6).map { number in
                let payload = [UInt8](repeating: UInt8(number), count: size)
                return OutgoingMessage(to: topic, key: "key \(number)", payload: payload, partition: number % 2)
            }
            try await broker.send(Array(messages[..<2]))
            try await broker.send(Array(messages[2...]))
        }
        try await broker.deleteTopic("gone")
        let session = try await broker.subscribe(to: ["small", "large"], as: "billing").open()
        guard case .assigned(let assignments) = try await session.next() else { return }
        try await session.commit(
            assignments.map { .init(partition: $0.partition, offset: 2, generation: $0.generation, metadata: "m") }
        )
        await session.close()
        let producer = try await broker.producer(ProducerSettings(transactionalID: "orders"))
        for number in 0..<6 {
            try await producer.send(OutgoingMessage(to: "small", key: "k", payload: [9], partition: number % 2))
        }
        try await FlippedQueue.make(in: broker)
        // Gone with the next opening, by a row of its own.
        try await broker.send(OutgoingMessage(to: "small", payload: [8], partition: 1, isPersistent: false))
        try await broker.close()
    }

    /// All that a broker tells whoever opens it and goes on with it, before and after it is closed once more.
    static func content(of path: String) async throws -> Flips.Content {
        let first = try await answers(at: path)
        let second = try await answers(at: path)
        return Flips.Content(done: first.done + second.done, rest: first.rest + second.rest)
    }

    private static func answers(at path: String) async throws -> Flips.Content {
        let broker = try await open(path, ids: 2)
        do {
            let content = try await answers(of: broker)
            try await broker.close()
            return content
        } catch {
            try await broker.close()
            throw error
        }
    }

    private static func answers(of broker: Broker) async throws -> Flips.Content {
        let offsets = try broker.offsets(group: "billing").map { "\($0) \($1)" }.sorted()
        var rest = [broker.id, "\(broker.topics())"]
        for topic in broker.topics() {
            let description = try broker.describe(topic)
            rest.append("\(description.id) \(description.settings) \(description.partitions)")
        }
        rest += try await broker.held()
        let session = try await broker.subscribe(to: ["small", "large"], as: "billing").open()
        var done = offsets
        if case .assigned(let assignments) = try await session.next() {
            done += assignments.map { "\($0.partition) \($0.generation) \($0.committed as CommittedOffset?) \($0.log)" }
        }
        await session.close()
        done += try await FlippedQueue.answers(of: broker)
        try await broker.send(OutgoingMessage(to: "small", key: "k", payload: [1], partition: 0))
        let producer = try await broker.producer(ProducerSettings(transactionalID: "orders"))
        rest.append("\(producer.id) \(producer.incarnation)")
        rest.append("\(try await producer.send(OutgoingMessage(to: "small", key: "k", payload: [3], partition: 0)))")
        rest.append("\(try await broker.producer().id)")
        try await broker.createTopic("another", partitions: 1)
        try await broker.send(OutgoingMessage(to: "another", payload: [2]))
        for topic in broker.topics() { rest.append("\(try broker.logEnds(of: topic).map { "\($0)" }.sorted())") }
        return Flips.Content(done: done, rest: rest)
    }
}
