import LMDB
import Ratchet
import Synchronization
import Testing

@testable import RatchetBroker

@Suite("Fencing over several nodes", .timeLimit(.minutes(30)))
struct ReplicatedFencingTests {
    /// On a busy machine a test waits long for its turns: nothing is given up for that.
    private static var patient: Broker.Configuration {
        var configuration = Broker.Configuration.replicated
        configuration.replicationTimeout = .seconds(3600)
        return configuration
    }

    private static func broker(_ configuration: Broker.Configuration = patient) async throws -> Broker {
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("a", replicationFactor: 3, minInSyncReplicas: 2)
        try await broker.rounds { try broker.isWhole() }
        return broker
    }

    private static let settings = ProducerSettings(transactionalID: "p")
    private static let partition = TopicPartition("a", 0)

    private static func isFenced(_ producer: Producer, _ broker: Broker) -> Bool {
        broker.producers.isFenced(producer.id, incarnation: producer.incarnation)
    }

    @Test("A producer's name is handed on once all that it has committed can be read; then it writes nothing any more")
    func committed() async throws {
        let broker = try await Self.broker()
        let zombie = try await broker.producer(Self.settings)
        let leader = try #require(try broker.replication("a").leader)
        for node in broker.nodes where node.number != leader { node.slowDown(by: .seconds(3600)) }
        async let waits: Void = zombie.transaction { try $0.send(.text("committed", to: "a")) }
        while broker.cluster?.redo.owners.isEmpty ?? false { await Task.yield() }
        let notes = Notes<String>()
        async let opening = {
            defer { notes.add("handed on") }
            return try await broker.producer(Self.settings)
        }()
        while !Self.isFenced(zombie, broker) { await Task.yield() }
        for _ in 0..<1000 { await Task.yield() }
        #expect(try await broker.texts(Self.partition).isEmpty)
        #expect(notes.all.isEmpty)
        for node in broker.nodes { node.slowDown(by: nil) }
        let next = try await opening
        #expect(try await broker.texts(Self.partition) == ["committed"])
        try await waits
        let error = await #expect(throws: BrokerError.self) {
            try await zombie.transaction { try $0.send(.text("zombie", to: "a")) }
        }
        #expect(error?.code == .fenced)
        try await next.transaction { try $0.send(.text("next", to: "a")) }
        #expect(try await broker.texts(Self.partition) == ["committed", "next"])
        try await broker.close()
    }

    @Test("Where that cannot be read in time, the earlier producer is fenced all the same, and the next call waits on")
    func timeout() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.replicated
        configuration.clock = clock
        configuration.replicaLagTime = .seconds(1_000_000)
        let broker = try await Self.broker(configuration)
        let zombie = try await broker.producer(Self.settings)
        let leader = try #require(try broker.replication("a").leader)
        for node in broker.nodes where node.number != leader { node.slowDown(by: .seconds(3600)) }
        async let waits: Void = zombie.transaction { try $0.send(.text("committed", to: "a")) }
        while broker.cluster?.redo.owners.isEmpty ?? false { await Task.yield() }
        let isOver = Latch()
        async let passing: Void = {
            while !isOver.isOpen {
                clock.advance(by: .seconds(1))
                await Task.yield()
            }
        }()
        let error = await #expect(throws: BrokerError.self) { _ = try await broker.producer(Self.settings) }
        #expect(error?.code == .timedOut)
        #expect(Self.isFenced(zombie, broker))
        isOver.open()
        await passing
        for node in broker.nodes { node.slowDown(by: nil) }
        let next = try await broker.producer(Self.settings)
        #expect(try await broker.texts(Self.partition) == ["committed"])
        // It was committed: it is no fault that its producer has waited for too long.
        do { try await waits } catch let error as BrokerError { #expect(error.code == .notYetVisible) }
        try await next.transaction { try $0.send(.text("next", to: "a")) }
        #expect(try await broker.texts(Self.partition) == ["committed", "next"])
        try await broker.close()
    }

    @Test("What a node that is being stopped still writes of a fenced producer is written when its name is handed on")
    func stoppingNode() async throws {
        let broker = try await Self.broker()
        let zombie = try await broker.producer(Self.settings)
        let leader = try #require(try broker.replication("a").leader)
        let storage = try #require(broker.nodes[leader].cluster.nodes[leader].storage)
        let (isBusy, begin, isInGroup, end, notes) = (Gate(), Gate(), Latch(), Gate(), Notes<String>())
        storage.submit(
            WriteJob(byteCount: 0, reclaims: true) { _ in
                isBusy.open()
                begin.wait()
            } done: { _ in
            }
        )
        isBusy.wait()
        // Both are in the next group, the producer's batch first: it is let through, and not yet written.
        _ = try await zombie.enqueue(.text("let through", to: "a"))
        storage.submit(
            WriteJob(byteCount: 0, reclaims: true) { _ in
                isInGroup.open()
                end.wait()
            } done: { _ in
                notes.add("written")
            }
        )
        begin.open()
        await isInGroup.wait()
        async let stopped: Void = broker.nodes[leader].stop()
        while broker.nodes[leader].isRunning { await Task.yield() }
        async let opening: Void = {
            _ = try await broker.producer(Self.settings)
            notes.add("handed on")
        }()
        while !Self.isFenced(zombie, broker) { await Task.yield() }
        for _ in 0..<1000 { await Task.yield() }
        end.open()
        try await opening
        await stopped
        #expect(notes.all == ["written", "handed on"])
        try await broker.close()
    }
}
