import Ratchet
import Testing

@testable import RatchetBroker

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A broker that was opened while the only node that has a topic's messages was down: nothing of their number is known.
@Suite("A partition that no node has led since the opening", .timeLimit(.minutes(30)))
struct ReopenedLeaderlessTests {
    private static let partition = TopicPartition("t", 0)

    /// A node's file, which cannot be read as long as this is not undone.
    private struct DamagedFile {
        let path: String
        let whole: Data

        init(node: Int, of directory: TemporaryDirectory) throws {
            path = "\(directory.broker)/node-\(node + 1)/data.mdb"
            whole = try Data(contentsOf: URL(filePath: path))
            try TestFile.overwrite(path, [UInt8](repeating: 0xA5, count: 1 << 14))
        }

        func restore() throws { try whole.write(to: URL(filePath: path)) }
    }

    /// Ends the broker as a crash does, and opens it without the node that leads "t".
    private static func reopenedWithoutLeader(
        _ broker: Broker,
        _ directory: TemporaryDirectory
    ) async throws -> (broker: Broker, node: Int, file: DamagedFile) {
        let node = try #require(try broker.replication("t").leader)
        for node in broker.nodes { await node.kill() }
        await broker.storage.crash()
        let file = try DamagedFile(node: node, of: directory)
        let next = try await Broker(at: directory.broker, configuration: .replicated)
        #expect(try next.replication("t").leader == nil)
        return (next, node, file)
    }

    private static func start(_ node: Int, of broker: Broker, _ file: DamagedFile) async throws {
        try file.restore()
        try await broker.nodes[node].start()
        try await broker.rounds { try broker.replication("t").leader == node }
    }

    private static func sent(_ directory: TemporaryDirectory, _ texts: [String]) async throws -> Broker {
        let broker = try await Broker(at: directory.broker, configuration: .replicated)
        try await broker.createTopic("t")
        for text in texts { try await broker.send(.text(text, to: "t")) }
        return broker
    }

    @Test("A message on its way to the dead-letter topic is not taken for gone, and gets there once it can be read")
    func deadLetter() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.sent(directory, ["a", "b"])
        try await broker.createTopic("dead", replicationFactor: 3)
        let settings = QueueSettings(deliveryLimit: 1, deadLetterTopic: "dead")
        let consumer = try await broker.queue("t", as: "q", settings: settings).consumer(prefetch: 1)
        #expect(try await consumer.next().map(\.message.text) == ["a"])
        // What is out when another answer is written is counted, whatever comes.
        let other = try await broker.queue("t", as: "q", settings: settings).consumer(prefetch: 1)
        try await other.ack(try await other.next()[0].tag)
        let (next, node, file) = try await Self.reopenedWithoutLeader(broker, directory)
        // Whoever joins has it moved.
        let joined = try await next.queue("t", as: "q", settings: settings).consumer()
        for _ in 0..<10 { try await next.round() }
        joined.close()
        try await Self.start(node, of: next, file)
        let last = try await next.queue("t", as: "q", settings: settings).consumer()
        for _ in 0..<10 { try await next.round() }
        #expect(try await next.texts(TopicPartition("dead", 0)) == ["a"])
        last.close()
        try await next.close()
    }

    @Test("What asks for its log's bounds is an error that may pass, not an empty log")
    func bounds() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.sent(directory, ["a", "b"])
        let (next, node, file) = try await Self.reopenedWithoutLeader(broker, directory)
        let asked: [@Sendable () async throws -> Void] = [
            { _ = try await next.resetOffsets(group: "g", topic: "t", to: .latest) },
            { _ = try await next.resetOffsets(group: "g", topic: "t", to: .earliest) },
            { _ = try await next.resetOffsets(group: "g", topic: "t", to: .offset(0)) },
            { _ = try next.logEnds(of: "t") },
            { _ = try next.read(Self.partition) },
        ]
        for (number, ask) in asked.enumerated() {
            let error = await #expect(throws: BrokerError.self, "question \(number)") { try await ask() }
            #expect(error?.code == .leaderNotAvailable && error?.isRetriable == true, "question \(number)")
        }
        #expect(try next.offsets(group: "g").isEmpty)
        try await Self.start(node, of: next, file)
        #expect(try next.logEnds(of: "t") == [Self.partition: 2])
        #expect(try await next.resetOffsets(group: "g", topic: "t", to: .latest) == [Self.partition: 2])
        #expect(try next.lag(group: "g")[Self.partition]?.lag == 0)
        #expect(try await next.texts(Self.partition) == ["a", "b"])
        try await next.close()
    }

    @Test("It is assigned once it has a leader, with the log that there is; partitions that have one are not held up")
    func assignment() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.sent(directory, ["a", "b"])
        try await broker.createTopic("others", replicationFactor: 3, minInSyncReplicas: 2)
        try await broker.send(.text("x", to: "others"))
        try await broker.resetOffsets(group: "g", topic: "t", to: .offset(1))
        try await broker.rounds { try broker.isWhole() }
        let (next, node, file) = try await Self.reopenedWithoutLeader(broker, directory)
        let session = try await next.subscribe(to: ["t", "others"], as: "g").open()
        let first = try await session.nextAssigned()
        #expect(first.map(\.partition) == [TopicPartition("others", 0)])
        try await session.start(first)
        #expect(try await session.nextMessages().texts == ["x"])
        let error = await #expect(throws: SourceError.self) { _ = try await session.message(at: 0, of: Self.partition) }
        #expect(error?.code == .notAssigned)
        async let second = session.nextAssigned()
        try await Self.start(node, of: next, file)
        let assignments = try await second
        #expect(assignments.map(\.partition) == [Self.partition])
        #expect(assignments.map(\.log) == [0..<2] && assignments.map(\.committed?.offset) == [1])
        try await session.start(assignments)
        #expect(try await session.nextMessages().texts == ["b"])
        await session.close()
        try await next.close()
    }

    @Test("What too few replicas are known to have is behind the log's end and not gone: it comes once they have it")
    func notYetVisible() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 2, minInSyncReplicas: 2)
        for text in ["a", "b"] { try await broker.send(.text(text, to: "t")) }
        try await broker.rounds { try broker.isWhole() }
        let replication = try broker.replication("t")
        let follower = try #require(replication.replicas.first { $0 != replication.leader })
        for node in broker.nodes { await node.kill() }
        await broker.storage.crash()
        let file = try DamagedFile(node: follower, of: directory)
        let next = try await Broker(at: directory.broker, configuration: .replicated)
        try await next.rounds { try next.replication("t").leader != nil }
        let log = try #require(next.catalog.log(of: Self.partition))
        // Written with the message before the last one, as a row of a log goes with what made it.
        try #require(log.range.upperBound < 2)
        #expect(try next.logEnds(of: "t") == [Self.partition: 2])
        let session = try await next.subscribe(to: "t", as: "g").open()
        let assignments = try await session.nextAssigned()
        #expect(assignments.map(\.log) == [0..<2])
        try await session.start(Self.partition, at: 2, generation: assignments[0].generation)
        let error = #expect(throws: BrokerError.self) {
            try next.message(at: 1, in: log, generation: assignments[0].generation)
        }
        #expect(error?.code == .notEnoughReplicas)
        async let found = session.message(at: 1, of: Self.partition)
        try file.restore()
        try await next.nodes[follower].start()
        try await next.rounds { log.range.upperBound == 2 }
        #expect(try await found?.text == "b")
        try await next.send(.text("c", to: "t"))
        #expect(try await session.nextMessages().texts == ["c"])
        await session.close()
        try await next.close()
    }
}
