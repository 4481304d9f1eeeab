import Ratchet
import Seeds
import Testing

@testable import RatchetBroker

/// A compacted topic on three nodes that compact when they like, die, lag and lose their disks.
private struct CompactedCluster {
    let broker: Broker
    let wall: ManualWallClock
    let seed: Seed
    var random: SeededRandom
    /// What was confirmed last of each key, nil for a tombstone.
    var newest: [String: String?] = [:]
    private var sent = 0

    init(_ broker: Broker, _ wall: ManualWallClock, _ seed: Seed) {
        self.broker = broker
        self.wall = wall
        self.seed = seed
        random = seed.random
    }

    mutating func step() async throws {
        switch random.below(20) {
        case 0..<9: for _ in 0...random.below(5) { try await send() }
        case 9..<13: try await compactSome()
        case 13: try await broker.compact("t")
        case 14, 15: try await absence(killed: random.chance(50))
        case 16: try await lostDisk()
        case 17: try await lag()
        case 18: wall.advance(by: .milliseconds(random.below(4000)))
        default: try await broker.rounds { try broker.isWhole() }
        }
    }

    mutating func send() async throws {
        sent += 1
        let key = "k\(random.below(6))"
        let text = random.chance(25) ? "" : "\(sent)"
        while true {
            do {
                try await broker.send(.text(text, to: "t", key: key))
                newest[key] = text.isEmpty ? .some(nil) : text
                return
            } catch let error as BrokerError where error.isRetriable {
                try await broker.round()
            }
        }
    }

    private mutating func compactSome() async throws {
        for node in 0..<3 where broker.nodes[node].isRunning && random.chance(50) {
            try await broker.compact(node: node)
        }
    }

    /// A node is away while others go on, and compact.
    private mutating func absence(killed: Bool) async throws {
        try await broker.rounds { try broker.isWhole() }
        let node = random.below(3)
        if killed { await broker.nodes[node].kill() } else { await broker.nodes[node].stop() }
        try await broker.rounds { try broker.replication("t").leader != nil }
        for _ in 0..<random.below(12) { try await send() }
        if random.chance(50) { wall.advance(by: .milliseconds(6000)) }
        try await compactSome()
        try await broker.nodes[node].start()
    }

    private mutating func lostDisk() async throws {
        try await broker.rounds { try broker.isWhole() }
        let node = random.below(3)
        try await broker.nodes[node].wipe()
        try await broker.nodes[node].start()
        try await compactSome()
        try await broker.rounds { try broker.isWhole() }
    }

    private mutating func lag() async throws {
        try await broker.rounds { try broker.isWhole() }
        let node = random.below(3)
        broker.nodes[node].cutOff()
        try await broker.rounds { try broker.replication("t").leader != nil }
        for _ in 0..<random.below(6) { try await send() }
        try await compactSome()
        broker.nodes[node].reconnect()
    }

    /// All replicas hold the same table, and no offset has two contents.
    func check() async throws {
        try await broker.rounds { try broker.isWhole() }
        var contents: [Int64: StoredRecord] = [:]
        for node in 0..<3 {
            let records = try broker.records(of: node)
            let table = StoredRecord.table(records)
            #expect(table.keys.sorted() == newest.compactMapValues { $0 }.keys.sorted(), "node \(node), \(seed)")
            for record in records {
                #expect(contents[record.offset] ?? record == record, "offset \(record.offset), \(seed)")
                contents[record.offset] = record
            }
            for (key, record) in table {
                let text = newest[key].flatMap { $0 } ?? ""
                #expect(record.bytes.suffix(text.utf8.count).elementsEqual(text.utf8), "\(key), node \(node), \(seed)")
            }
        }
    }
}

@Suite("Compaction with several nodes, under faults", .timeLimit(.minutes(30)))
struct ReplicatedCompactionModelTests {
    @Test("Whatever dies, lags or is lost, every replica has the newest message of each key", arguments: Seed.some(8))
    func faults(seed: Seed) async throws {
        let wall = ManualWallClock()
        var configuration = Broker.Configuration.replicated
        configuration.time.wall = wall.read
        configuration.checksFile = false
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic(
            "t",
            replicationFactor: 3,
            minInSyncReplicas: 2,
            cleanup: .compact,
            deleteRetention: .milliseconds(5000)
        )
        var cluster = CompactedCluster(broker, wall, seed)
        for _ in 0..<40 { try await cluster.step() }
        try await cluster.check()
        // Compacted to the same end they hold the same.
        for _ in 0..<2 {
            try await cluster.send()
            try await broker.rounds { try broker.isWhole() }
        }
        let compacted = try cluster.broker.describe("t").partitions[0].log
        try await broker.compact("t")
        #expect(try broker.describe("t").partitions[0].log == compacted, "\(seed)")
        try await cluster.check()
        try await broker.close()
    }
}
