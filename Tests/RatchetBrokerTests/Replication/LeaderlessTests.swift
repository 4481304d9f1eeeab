import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("A partition that no node leads", .timeLimit(.minutes(30)))
struct LeaderlessTests {
    private static let partition = TopicPartition("t", 0)

    /// A broker with one message, which is on a node that is down.
    private static func broker(
        _ directory: TemporaryDirectory,
        _ configuration: Broker.Configuration = .replicated
    ) async throws -> (broker: Broker, node: Int) {
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t")
        try await broker.send(.text("kept", to: "t"))
        let node = try #require(try broker.replication("t").leader)
        return (broker, node)
    }

    @Test("Reading it is an error that may pass, not the log's end, and goes on once it has a leader")
    func reading() async throws {
        let directory = try TemporaryDirectory()
        let (broker, node) = try await Self.broker(directory)
        var iterator = try broker.read(Self.partition).makeAsyncIterator()
        await broker.nodes[node].stop()
        do {
            let batch = try await iterator.next()
            Issue.record("read \(String(describing: batch?.texts))")
        } catch let error as BrokerError {
            #expect(error.code == .leaderNotAvailable && error.isRetriable)
        }
        try await broker.nodes[node].start()
        try await broker.rounds { try broker.replication("t").leader != nil }
        #expect(try await iterator.next()?.texts == ["kept"])
        #expect(try await iterator.next() == nil)
        try await broker.close()
    }

    @Test("A node whose disk fails is one that is gone: who reads from it goes on where another one leads")
    func failedDisk() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 3)
        try await broker.send(.text("kept", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        let leader = try #require(try broker.replication("t").leader)
        let storage = try #require(broker.cluster?.nodes[leader].storage)
        storage.environment.failNextCommit(.unwritten)
        // Of what is no append the cluster hears nothing.
        await #expect(throws: BrokerError.self) { try await storage.write { _ in } }
        var iterator = try broker.read(Self.partition).makeAsyncIterator()
        do {
            let batch = try await iterator.next()
            Issue.record("read \(String(describing: batch?.texts))")
        } catch let error as BrokerError {
            #expect(error.code == .leaderNotAvailable && error.isRetriable)
        }
        try await broker.clean()
        try await broker.cleanProducers()
        try await broker.rounds { try broker.replication("t").leader.map { $0 != leader } ?? false }
        #expect(try await iterator.next()?.texts == ["kept"])
        try await broker.send(.text("after", to: "t"))
        #expect(try await broker.texts(Self.partition) == ["kept", "after"])
        try await broker.close()
    }

    @Test("What a consumer looks up there is waited for, not taken for gone")
    func lookingUp() async throws {
        let directory = try TemporaryDirectory()
        let (broker, node) = try await Self.broker(directory)
        let session = try await broker.subscribe(to: "t", as: "g").open()
        guard case .assigned(let assignments) = try await session.next() else { throw Unexpected(.closed) }
        #expect(assignments.map(\.partition) == [Self.partition])
        await broker.nodes[node].stop()
        async let found = session.message(at: 0, of: Self.partition)
        try await broker.nodes[node].start()
        #expect(try await found?.text == "kept")
        await broker.nodes[node].stop()
        async let refused = session.message(at: 0, of: Self.partition)
        await session.close()
        do {
            let message = try await refused
            Issue.record("found \(String(describing: message))")
        } catch let error as SourceError {
            #expect(error.code == .notAssigned)
        }
        try await broker.close()
    }

    @Test("Looking up is waited for no longer than leaderTimeout; then it is an error that may pass, and it does")
    func bounded() async throws {
        let (directory, clock) = (try TemporaryDirectory(), ManualClock())
        var configuration = Broker.Configuration.replicated
        configuration.clock = clock
        configuration.leaderTimeout = .seconds(10)
        let (broker, node) = try await Self.broker(directory, configuration)
        let session = try await broker.subscribe(to: "t", as: "g").open()
        _ = try await session.nextAssigned()
        await broker.nodes[node].stop()
        async let refused = session.message(at: 0, of: Self.partition)
        await clock.waitForSleeper()
        clock.advance(by: .seconds(10))
        do {
            let message = try await refused
            Issue.record("found \(String(describing: message))")
        } catch let error as BrokerError {
            #expect(error.code == .leaderNotAvailable && error.isRetriable)
        }
        try await broker.nodes[node].start()
        try await broker.rounds { try broker.replication("t").leader != nil }
        #expect(try await session.message(at: 0, of: Self.partition)?.text == "kept")
        await session.close()
        try await broker.close()
    }

    @Test("A group's offsets are not set to its end for want of one who knows the times of its messages")
    func resetting() async throws {
        let directory = try TemporaryDirectory()
        let (broker, node) = try await Self.broker(directory)
        await broker.nodes[node].stop()
        let error = await #expect(throws: BrokerError.self) {
            try await broker.resetOffsets(group: "g", topic: "t", to: .timestamp(0))
        }
        #expect(error?.code == .leaderNotAvailable && error?.isRetriable == true)
        #expect(try broker.offsets(group: "g").isEmpty)
        try await broker.nodes[node].start()
        try await broker.rounds { try broker.replication("t").leader != nil }
        #expect(try await broker.resetOffsets(group: "g", topic: "t", to: .timestamp(0)) == [Self.partition: 0])
        try await broker.close()
    }
}
