import Ratchet
import Testing

@testable import RatchetBroker

/// Dies after each of the writes that a decision makes on the broker's own file and on its nodes, one after the other.
@Suite("Decisions and crashes", .timeLimit(.minutes(30)))
struct DecisionCrashTests {
    private static let input = TopicPartition("in", 0)
    /// More than a transaction or a dead letter takes.
    private static let mostTurns = 200

    @Test("A broker killed at any write has all of a transaction or nothing, and its offset moves with it")
    func transactions() async throws {
        let directory = try TemporaryDirectory()
        let first = try await Broker(at: directory.broker, configuration: .unsynced)
        try await first.createTopic("in")
        for topic in ["a", "b"] {
            try await first.createTopic(topic, partitions: 2, replicationFactor: 3, minInSyncReplicas: 2)
        }
        try await first.send((0..<Self.mostTurns).map { .text("\($0)", to: "in", partition: 0) })
        try await first.close()
        var (committed, halfway, isOver) = ([String](), 0, false)
        for turns in 0..<Self.mostTurns where !isOver {
            let text = "\(turns)"
            isOver = try await Self.transaction(text, offset: Int64(turns + 1), turns: turns, directory)
            if try await Broker.redoRows(at: directory.broker) > 0 { halfway += 1 }
            let broker = try await Broker(at: directory.broker, configuration: .unsynced)
            let offset = try broker.offsets(group: "g")[Self.input]?.offset
            if offset == Int64(turns + 1) { committed.append(text) }
            for topic in ["a", "b"] {
                for number in 0..<2 {
                    let texts = try await broker.texts(TopicPartition(topic, number))
                    #expect(texts == committed, "\(topic)/\(number) after \(turns) turns, offset \(offset ?? -1)")
                }
            }
            #expect(!isOver || committed.last == text)
            try await broker.close()
            #expect(try await Broker.redoRows(at: directory.broker) == 0)
        }
        #expect(isOver && halfway > 1 && committed.count > 2 && committed.first != "0")
    }

    /// One life, with one transaction; whether it was over.
    private static func transaction(
        _ text: String,
        offset: Int64,
        turns: Int,
        _ directory: TemporaryDirectory
    ) async throws -> Bool {
        let driven = try await DrivenBroker(at: directory)
        let broker = driven.broker
        let (producers, sessions, generations) = (Notes<Producer>(), Notes<any SourceSession>(), Notes<Int64>())
        _ = try await driven.run {
            producers.add(try await broker.producer(ProducerSettings(transactionalID: "p")))
            let session = try await broker.subscribe(to: "in", as: "g").open()
            sessions.add(session)
            generations.add(try await session.nextAssigned()[0].generation)
        }
        let (producer, session, generation) = (producers.all[0], sessions.all[0], generations.all[0])
        let commit = OffsetCommit(partition: input, offset: offset, generation: generation, metadata: "")
        let isOver = try await driven.run(turns: turns) {
            try await producer.transaction { transaction in
                for topic in ["a", "b"] {
                    for number in 0..<2 { try transaction.send(.text(text, to: topic, partition: number)) }
                }
                try transaction.commit([commit], of: session)
            }
        }
        if isOver { broker.abandon() }
        return isOver
    }

    @Test("A broker killed at any write has a rejected message in the queue or among the dead letters, and not in both")
    func deadLetters() async throws {
        let directory = try TemporaryDirectory()
        let first = try await Broker(at: directory.broker, configuration: .unsynced)
        try await first.createTopic("t", replicationFactor: 3, minInSyncReplicas: 2)
        try await first.createTopic("dead", replicationFactor: 3, minInSyncReplicas: 2)
        try await first.close()
        var (halfway, moved, isOver) = (0, 0, false)
        for turns in 0..<Self.mostTurns where !isOver {
            let text = "\(turns)"
            isOver = try await Self.reject(text, turns: turns, directory)
            if try await Broker.redoRows(at: directory.broker) > 0 { halfway += 1 }
            let broker = try await Broker(at: directory.broker, configuration: .unsynced)
            let dead = try await broker.texts(TopicPartition("dead", 0))
            #expect(dead.count == Set(dead).count)
            try await broker.send(.text("last", to: "t"))
            let consumer = try await broker.queue("t", as: "g", settings: Self.settings).consumer()
            let left = try await consumer.next()
            #expect(left.map(\.message.text) == (dead.last == text ? ["last"] : [text, "last"]), "\(turns) turns")
            #expect(!isOver || dead.last == text)
            if dead.last == text { moved += 1 }
            try await consumer.ack(left.map(\.tag))
            try await broker.close()
        }
        #expect(isOver && halfway > 0 && moved > 1)
    }

    private static let settings = QueueSettings(deadLetterTopic: "dead")

    /// One life, in which a message is rejected; whether that was over.
    private static func reject(_ text: String, turns: Int, _ directory: TemporaryDirectory) async throws -> Bool {
        let driven = try await DrivenBroker(at: directory)
        let broker = driven.broker
        let (consumers, tags) = (Notes<QueueConsumer>(), Notes<Int64>())
        _ = try await driven.run {
            try await broker.send(.text(text, to: "t"))
            let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
            consumers.add(consumer)
            tags.add(try await consumer.next()[0].tag)
        }
        let (consumer, tag) = (consumers.all[0], tags.all[0])
        let isOver = try await driven.run(turns: turns) { try await consumer.nack(tag, requeue: false) }
        if isOver { broker.abandon() }
        return isOver
    }
}
