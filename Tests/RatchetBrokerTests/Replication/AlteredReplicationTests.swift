import Ratchet
import Testing

@testable import RatchetBroker

@Suite("A replicated topic that is altered", .timeLimit(.minutes(30)))
struct AlteredReplicationTests {
    private static let partition = TopicPartition("t", 0)

    private static func broker(_ directory: TemporaryDirectory, minimum: Int) async throws -> Broker {
        let broker = try await Broker(at: directory.broker, configuration: .replicated)
        try await broker.createTopic("t", replicationFactor: 3, minInSyncReplicas: minimum)
        try await broker.send(.text("on all", to: "t"))
        try await broker.rounds { try broker.isWhole() }
        return broker
    }

    @Test("Where the only replica in sync is gone for good, an unclean election that is allowed now ends the waiting")
    func allowingUncleanElection() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory, minimum: 1)
        let leader = try #require(try broker.replication("t").leader)
        for node in 0..<3 where node != leader { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").inSync == [leader] }
        try await broker.send(.text("on one", to: "t"))
        await broker.nodes[leader].kill()
        for node in 0..<3 where node != leader { try await broker.nodes[node].start() }
        try await broker.round()
        #expect(try broker.replication("t").leader == nil)
        try await broker.alterTopic("t", allowsUncleanElection: true)
        try await broker.rounds { try broker.replication("t").leader != nil }
        try await broker.send(.text("after", to: "t"))
        #expect(try await broker.texts(Self.partition) == ["on all", "after"])
        try await broker.close()
    }

    @Test("With more replicas asked for than are in sync sends are refused, with fewer taken; so after a reopening")
    func minimum() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.broker(directory, minimum: 1)
        let leader = try #require(try broker.replication("t").leader)
        for node in 0..<3 where node != leader { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").inSync == [leader] }
        try await broker.alterTopic("t", minInSyncReplicas: 2)
        let error = await #expect(throws: BrokerError.self) { try await broker.send(.text("refused", to: "t")) }
        #expect(error?.code == .notEnoughReplicas)
        try await broker.alterTopic("t", minInSyncReplicas: 1)
        try await broker.send(.text("taken", to: "t"))
        try await broker.alterTopic("t", minInSyncReplicas: 3)
        await #expect(throws: BrokerError.self) { try await broker.alterTopic("t", minInSyncReplicas: 4) }
        try await broker.close()
        let next = try await Broker(at: directory.broker, configuration: .replicated)
        try await next.rounds { try next.isWhole() }
        #expect(try next.describe("t").settings.minInSyncReplicas == 3)
        await next.nodes[leader].stop()
        try await next.rounds { try next.replication("t").leader != nil }
        let late = await #expect(throws: BrokerError.self) { try await next.send(.text("refused", to: "t")) }
        #expect(late?.code == .notEnoughReplicas)
        #expect(try await next.texts(Self.partition) == ["on all", "taken"])
        try await next.close()
    }

    @Test("Settings that were written as the process ended are those of the partitions once it is opened again")
    func reopened() throws {
        var leadership = Leadership(replicas: [0, 1, 2], minimum: 2, allowsUnclean: false)
        leadership.setInSync([0, 1, 2])
        leadership.setInSync([0])
        #expect(leadership.eligible == [1, 2])
        var settings = TopicSettings(partitions: 1)
        settings.replicationFactor = 3
        settings.minInSyncReplicas = 1
        settings.allowsUncleanElection = true
        leadership.setRules(settings)
        // The high watermark moves on without them now.
        #expect(leadership.eligible.isEmpty && leadership.allowsUnclean && leadership.isSufficient)
        settings.minInSyncReplicas = 3
        leadership.setRules(settings)
        #expect(leadership.eligible.isEmpty && !leadership.isSufficient)
    }
}
