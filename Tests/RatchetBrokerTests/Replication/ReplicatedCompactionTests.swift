import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Compaction with several nodes", .timeLimit(.minutes(30)))
struct ReplicatedCompactionTests {
    private static let partition = TopicPartition("t", 0)

    private static func broker(
        minimum: Int = 2,
        allowsUnclean: Bool = false,
        _ change: (inout Broker.Configuration) -> Void = { _ in }
    ) async throws -> Broker {
        var configuration = Broker.Configuration.replicated
        change(&configuration)
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic(
            "t",
            replicationFactor: 3,
            minInSyncReplicas: minimum,
            allowsUncleanElection: allowsUnclean,
            cleanup: .compact,
            deleteRetention: .seconds(60)
        )
        return broker
    }

    /// Sends messages, each in a chunk of its own: the key, and the text behind it, none for a tombstone.
    private static func send(_ messages: [String], to broker: Broker) async throws {
        for message in messages {
            let text = String(message.dropFirst())
            try await broker.send(.text(text, to: "t", key: String(message.prefix(1))))
        }
    }

    private static func leader(_ broker: Broker) throws -> Int { try #require(try broker.replication("t").leader) }

    /// `offset key` of what a node has.
    private static func contents(_ broker: Broker, _ node: Int) throws -> [String] {
        try broker.records(of: node).map { "\($0.offset) \($0.key)" }
    }

    @Test("Each node compacts its own log, and whoever leads shows the newest message of each key")
    func compacts() async throws {
        let broker = try await Self.broker()
        try await Self.send(["a1", "b1", "a2", "c1", "b2", "a3", "d1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        // What is sent last tells the followers how far all are.
        try await Self.send(["e1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        let before = try broker.describe("t").partitions[0]
        try await broker.compact("t")
        let after = try broker.describe("t").partitions[0]
        #expect(after.log == before.log && after.bytes < before.bytes)
        for node in 0..<3 {
            let isLeader = try node == Self.leader(broker)
            let kept = ["3 c", "4 b", "5 a", "6 d", "7 e"]
            #expect(try Self.contents(broker, node) == kept, "node \(node), \(isLeader ? "leader" : "follower")")
        }
        for _ in 0..<2 {
            let leader = try Self.leader(broker)
            await broker.nodes[leader].kill()
            try await broker.rounds { try broker.replication("t").leader.map { $0 != leader } ?? false }
            #expect(try await broker.texts(Self.partition) == ["1", "2", "3", "1", "1"])
            try await broker.nodes[leader].start()
            try await broker.rounds { try broker.isWhole() }
        }
        try await broker.close()
    }

    @Test("A node that was down in the middle of what the leader has put together copies the rest of it")
    func lagging() async throws {
        let broker = try await Self.broker()
        let producer = try await broker.producer()
        for number in 0..<4 { try await producer.send(.text("\(number)", to: "t", key: "p")) }
        try await Self.send(["a1", "b1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        let down = (try Self.leader(broker) + 1) % 3
        await broker.nodes[down].stop()
        for number in 4..<8 { try await producer.send(.text("\(number)", to: "t", key: "p")) }
        try await Self.send(["a2", "c1", "d1", "d2"], to: broker)
        try await broker.compact("t")
        let leader = try Self.leader(broker)
        #expect(try broker.chunks(of: leader).count == 2, "all but the newest chunk is one")
        try await broker.nodes[down].start()
        try await broker.rounds { try broker.isWhole() }
        #expect(try Self.contents(broker, leader) == ["5 b", "9 p", "10 a", "11 c", "12 d", "13 d"])
        // It still has what is older: it may compact by itself.
        #expect(try broker.records(of: down).count == 6 + 5)
        #expect(try broker.mark(of: down).end == broker.mark(of: leader).end)
        // What is sent last tells it how far all are.
        try await Self.send(["e1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        try await broker.compact(node: down)
        #expect(try broker.records(of: down) == broker.records(of: leader))
        // As a leader it knows the producer, and takes its next batch once.
        for node in 0..<3 where node != down { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").leader == down }
        try await broker.nodes[leader].start()
        try await broker.rounds { try broker.replication("t").inSync.count == 2 }
        try await producer.send(.text("8", to: "t", key: "p"))
        #expect(try await broker.texts(Self.partition).last == "8")
        try await broker.close()
    }

    @Test("A node that has lost its disk copies what its leader has, holes and all, byte for byte")
    func wiped() async throws {
        let broker = try await Self.broker()
        try await Self.send(["a1", "b1", "a2", "b", "c1", "a3", "d1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        try await broker.compact("t")
        let leader = try Self.leader(broker)
        let node = (leader + 1) % 3
        try await broker.nodes[node].wipe()
        try await broker.nodes[node].start()
        try await broker.rounds { try broker.isWhole() }
        #expect(try broker.chunks(of: node) == broker.chunks(of: leader))
        #expect(try broker.mark(of: node).end == broker.mark(of: leader).end)
        try await broker.close()
    }

    @Test("Where a leader from outside of the in-sync set cuts compacted logs off, they are made anew from it")
    func unclean() async throws {
        let broker = try await Self.broker(minimum: 1, allowsUnclean: true)
        try await Self.send(["a1", "b1", "c1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        let behind = (try Self.leader(broker) + 1) % 3
        await broker.nodes[behind].stop()
        try await Self.send(["a2", "b2", "a3", "d1", "d2"], to: broker)
        try await broker.compact("t")
        let others = (0..<3).filter { $0 != behind }
        for node in others {
            #expect(try broker.records(of: node).allSatisfy { $0.offset > 1 }, "a1 and b1 are gone")
            await broker.nodes[node].stop()
        }
        try await broker.nodes[behind].start()
        try await broker.rounds { try broker.replication("t").leader == behind }
        for node in others { try await broker.nodes[node].start() }
        try await broker.rounds { try broker.isWhole() }
        for node in 0..<3 { #expect(try Self.contents(broker, node) == ["0 a", "1 b", "2 c"], "node \(node)") }
        for node in others { #expect(try broker.mark(of: node).end == 0) }
        try await Self.send(["a4"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        #expect(try broker.chunks(of: 0) == broker.chunks(of: 1))
        #expect(try broker.chunks(of: 1) == broker.chunks(of: 2))
        try await broker.close()
    }

    @Test("What a tombstone has deleted does not come back from a node that was down until the tombstone was gone")
    func tombstones() async throws {
        let wall = ManualWallClock()
        let broker = try await Self.broker { $0.time.wall = wall.read }
        try await Self.send(["a1", "b1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        let down = (try Self.leader(broker) + 1) % 3
        await broker.nodes[down].stop()
        try await Self.send(["a", "c1", "d1"], to: broker)
        wall.advance(by: .seconds(61))
        try await broker.compact("t")
        let leader = try Self.leader(broker)
        #expect(try Self.contents(broker, leader) == ["1 b", "3 c", "4 d"])
        #expect(try broker.mark(of: leader).tombstones == 3)
        try await broker.nodes[down].start()
        try await broker.rounds { try broker.isWhole() }
        #expect(try Self.contents(broker, down) == ["1 b", "3 c", "4 d"])
        #expect(try broker.mark(of: down).tombstones == 3)
        try await broker.close()
    }

    /// A log that is cut off just after a pass over it has begun.
    private struct CutMeanwhile: CompactableLog {
        let base: ReplicaLog

        var uid: UInt32 { base.uid }
        var partition: TopicPartition { base.partition }
        var storage: Storage { base.storage }
        var isReplica: Bool { true }
        var compaction: CompactionState { base.compaction }
        func compacted(_ state: CompactionState) { base.compacted(state) }
        func resized(_ row: PartitionRow) { base.resized(row) }

        var bound: Int64 {
            let (written, uid, tables) = (Gate(), base.uid, base.storage.tables)
            base.storage.submit(
                WriteJob(byteCount: 0, reclaims: true) { transaction in
                    try ReplicationTable.write(CompactionMark(cuts: 1), uid, in: transaction, tables)
                } done: { _ in
                    written.open()
                }
            )
            written.wait()
            return base.bound
        }
    }

    @Test("A pass that began before its log was cut off replaces nothing, and the next one begins anew")
    func cutMeanwhile() async throws {
        let broker = try await Self.broker(minimum: 1)
        try await Self.send(["a1", "b1", "a2", "c1", "d1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        let log = try #require(broker.catalog.log(of: Self.partition))
        let leader = try Self.leader(broker)
        let place = try #require(broker.cluster?.compactableLogs(of: log).first { $0.node == leader })
        let before = try broker.chunks(of: leader)
        _ = try await LogCompaction(log: CutMeanwhile(base: place), memory: 1 << 20, tombstonesBefore: 0).run()
        #expect(try broker.chunks(of: leader) == before)
        #expect(try broker.mark(of: leader) == CompactionMark(cuts: 1))
        try await broker.compact(node: leader)
        #expect(try Self.contents(broker, leader) == ["1 b", "2 a", "3 c", "4 d"])
        try await broker.close()
    }

    @Test("A chunk that is lost on the leader is an error to who reads it, and keeps a new replica from being in sync")
    func lostChunk() async throws {
        let broker = try await Self.broker(minimum: 1)
        try await Self.send(["a1", "b1", "a2", "c1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        let leader = try Self.leader(broker)
        let storage = try #require(broker.cluster?.nodes[leader].storage)
        let uid = try #require(broker.catalog.log(of: Self.partition)).uid
        let tables = storage.tables
        try await storage.write { transaction in
            _ = try LogKey(uid, 1).withBytes { try transaction.delete($0, in: tables.log) }
        }
        let node = (leader + 1) % 3
        try await broker.nodes[node].wipe()
        try await broker.nodes[node].start()
        for _ in 0..<50 { try await broker.round() }
        #expect(try broker.replication("t").inSync.contains(node) == false)
        #expect(try Self.contents(broker, node) == ["0 a"])
        let error = await #expect(throws: BrokerError.self) { try await broker.compact("t") }
        #expect(error?.code == .corrupted)
        let read = await #expect(throws: SourceError.self) { try await broker.texts(Self.partition) }
        #expect(read?.code == .corrupted)
        try await broker.close()
    }

    @Test("Retention goes on where logs are compacted and kept for a time, and followers follow")
    func both() async throws {
        let wall = ManualWallClock()
        let broker = try await Self.broker { $0.time.wall = wall.read }
        try await broker.alterTopic("t", retention: Retention(time: .seconds(10)), cleanup: .both)
        try await Self.send(["a1", "b1", "a2", "c1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        try await broker.compact("t")
        wall.advance(by: .seconds(11))
        try await Self.send(["d1"], to: broker)
        try await broker.rounds { try broker.isWhole() }
        try await broker.clean()
        try await broker.rounds { try (0..<3).allSatisfy { try Self.contents(broker, $0) == ["4 d"] } }
        #expect(try broker.describe("t").partitions[0].log == 4..<5)
        try await broker.close()
    }
}
