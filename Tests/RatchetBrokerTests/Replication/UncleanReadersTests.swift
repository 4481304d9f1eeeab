import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Who reads a log that an unclean election has shortened", .timeLimit(.minutes(30)))
struct UncleanReadersTests {
    private static let partition = TopicPartition("t", 0)

    /// A broker whose topic holds `0` on all nodes and `1` to `3` on one.
    private static func broker(_ directory: TemporaryDirectory) async throws -> (broker: Broker, leader: Int) {
        var configuration = Broker.Configuration.replicated
        configuration.maximumFetchBytes = 1
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", replicationFactor: 3, allowsUncleanElection: true)
        try await broker.send(.text("0", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        let leader = try #require(try broker.replication("t").leader)
        for node in 0..<3 where node != leader { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").inSync == [leader] }
        for number in 1..<4 { try await broker.send(.text("\(number)", to: "t")) }
        return (broker, leader)
    }

    /// What only one node has is lost.
    private static func shorten(_ broker: Broker, _ leader: Int) async throws {
        try await broker.nodes[leader].wipe()
        for node in 0..<3 where node != leader { try await broker.nodes[node].start() }
        try await broker.rounds { try broker.replication("t").leader != nil }
        #expect(try broker.describe("t").partitions[0].log == 0..<1)
    }

    @Test("A reader is told that the rest is gone, and does not wait for it")
    func reader() async throws {
        let directory = try TemporaryDirectory()
        let (broker, leader) = try await Self.broker(directory)
        var iterator = try broker.read(Self.partition).makeAsyncIterator()
        #expect(try await iterator.next()?.texts == ["0"])
        try await Self.shorten(broker, leader)
        do {
            let batch = try await iterator.next()
            Issue.record("read \(String(describing: batch?.texts))")
        } catch let error as SourceError {
            #expect(error.code == .offsetOutOfRange)
        }
        try await broker.close()
    }

    @Test("A queue's consumer waits until there is something at its place again")
    func consumer() async throws {
        let directory = try TemporaryDirectory()
        let (broker, leader) = try await Self.broker(directory)
        let consumer = try await broker.queue("t", as: "g").consumer()
        for number in 0..<2 { #expect(try await consumer.next().map(\.message.text) == ["\(number)"]) }
        try await Self.shorten(broker, leader)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await #expect(throws: CancellationError.self) { _ = try await consumer.next() } }
            while !broker.queues.hasWaiting { await Task.yield() }
            group.cancelAll()
            try await group.waitForAll()
        }
        async let next = consumer.next()
        for number in 1..<4 { try await broker.send(.text("new \(number)", to: "t")) }
        var found = try await next
        while found.count < 3 { found += try await consumer.next() }
        #expect(found.map(\.message.text) == (1..<4).map { "new \($0)" })
        // Of what was cut off one is in its hands: its answer is not one to the message that is there now.
        try await consumer.ack(2, multiple: true)
        consumer.close()
        let other = try await broker.queue("t", as: "g").consumer()
        #expect(try await other.next().map(\.message.text) == ["new 1"])
        try await broker.close()
    }

    @Test("A queue that had settled what was cut off delivers what comes in its place")
    func settled() async throws {
        let directory = try TemporaryDirectory()
        let (broker, leader) = try await Self.broker(directory)
        let consumer = try await broker.queue("t", as: "g").consumer()
        for _ in 0..<4 { for delivery in try await consumer.next() { try await consumer.ack(delivery.tag) } }
        try await Self.shorten(broker, leader)
        for number in 1..<4 { try await broker.send(.text("new \(number)", to: "t")) }
        var found: [String] = []
        while found.count < 3 { found += try await consumer.next().map(\.message.text) }
        #expect(found == (1..<4).map { "new \($0)" })
        try await broker.close()
    }
}
