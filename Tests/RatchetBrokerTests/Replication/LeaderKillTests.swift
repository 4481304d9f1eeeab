import Ratchet
import Seeds
import Synchronization
import Testing

@testable import RatchetBroker

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Kills leaders under load, on real files.
@Suite("Leader kills", .timeLimit(.minutes(30)))
struct LeaderKillTests {
    static let partitions = 4
    /// A quarter of a minute where nothing else runs; `RATCHET_LEADER_KILLS` for another number.
    static let kills = getenv("RATCHET_LEADER_KILLS").flatMap { Int(String(cString: $0)) } ?? 300

    /// Messages of one sender and partition, in order: what was confirmed.
    final class Confirmed: Sendable {
        private let texts = Mutex<[String]>([])
        var all: [String] { texts.withLock { $0 } }
        func add(_ text: String) { texts.withLock { $0.append(text) } }
    }

    @Test("After leader kills, double failovers and lost disks, all that was confirmed is there in order")
    func kills() async throws {
        let seed = Seed.some(1)[0]
        let directory = try TemporaryDirectory()
        var configuration = Broker.Configuration.replicated
        // Each start would read all that there is.
        configuration.checksFile = false
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", partitions: Self.partitions, replicationFactor: 3, minInSyncReplicas: 2)
        let plain = (0..<Self.partitions).map { _ in Confirmed() }
        let idempotent = (0..<Self.partitions).map { _ in Confirmed() }
        let isOver = Latch()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<Self.partitions {
                group.addTask { try await Self.send(to: broker, number, plain[number], isOver) }
                group.addTask { try await Self.produce(to: broker, number, idempotent[number], isOver) }
            }
            group.addTask {
                var executioner = Executioner(broker, seed)
                do { try await executioner.run(Self.kills) } catch {
                    isOver.open()
                    throw error
                }
                isOver.open()
                #expect(executioner.deaths.count == Executioner.Death.allCases.count, "\(executioner.deaths), \(seed)")
            }
            try await group.waitForAll()
        }
        try await broker.rounds { try broker.isWhole() }
        try await Self.check(broker, plain, idempotent, seed)
        let chunks = try broker.chunks(of: 0)
        #expect(chunks.count > Self.kills, "\(seed)")
        for node in 1..<3 { #expect(try broker.chunks(of: node) == chunks, "nodes 0 and \(node), \(seed)") }
        try await broker.close()
        let reopened = try await Broker(at: directory.broker, configuration: .replicated)
        try await Self.check(reopened, plain, idempotent, seed)
        try await reopened.close()
    }

    /// One message after the other; what failed for now is sent again, so that some are there twice.
    private static func send(to broker: Broker, _ number: Int, _ confirmed: Confirmed, _ isOver: Latch) async throws {
        var next = 0
        while !isOver.isOpen {
            do {
                let text = "plain \(next)"
                try await broker.send(.text(text, to: "t", partition: number))
                confirmed.add(text)
                next += 1
            } catch let error as BrokerError where error.isRetriable {
                await Task.yield()
            }
        }
    }

    /// Several at a time, each of them once.
    private static func produce(to broker: Broker, _ number: Int, _ confirmed: Confirmed, _ isOver: Latch) async throws
    {
        var settings = ProducerSettings()
        settings.retryDelay = .milliseconds(1)
        settings.maximumRetryDelay = .milliseconds(5)
        let producer = try await broker.producer(settings)
        var next = 0
        while !isOver.isOpen {
            let texts = (next..<next + 5).map { "idempotent \($0)" }
            next += 5
            try await producer.send(texts.map { .text($0, to: "t", partition: number) })
            for text in texts { confirmed.add(text) }
        }
    }

    private static func check(
        _ broker: Broker,
        _ plain: [Confirmed],
        _ idempotent: [Confirmed],
        _ seed: Seed
    ) async throws {
        for number in 0..<partitions {
            let texts = try await broker.texts(TopicPartition("t", number))
            // A repeat comes behind the first one.
            var seen: Set<String> = []
            let first = texts.filter { seen.insert($0).inserted }
            let kinds = [("plain", plain[number].all), ("idempotent", idempotent[number].all)]
            for (kind, confirmed) in kinds {
                let found = first.filter { $0.hasPrefix(kind) }
                #expect(!confirmed.isEmpty && Array(found.prefix(confirmed.count)) == confirmed, "\(kind), \(seed)")
            }
            let once = texts.filter { $0.hasPrefix("idempotent") }
            #expect(once.count == Set(once).count, "some twice, \(seed)")
        }
    }
}

/// Ends leaders of a topic "t", and brings them back.
struct Executioner {
    let broker: Broker
    var random: SeededRandom
    private var killed = 0
    /// How often each has come about.
    private(set) var deaths: [Death: Int] = [:]

    enum Death: CaseIterable { case alone, doubleFailover, lostDisk, behindFollower, cutOff }

    init(_ broker: Broker, _ seed: Seed) {
        self.broker = broker
        random = seed.random
    }

    mutating func run(_ kills: Int) async throws {
        while killed < kills {
            switch random.below(12) {
            case 0: try await doubleFailover()
            case 1: try await lostDisk()
            case 2: try await lag()
            case 3: try await cutOff()
            default: try await kill()
            }
            try await progress()
        }
    }

    /// Some partition's leader; none when nobody leads just now.
    private mutating func leader() throws -> Int? {
        try broker.replication("t", random.below(LeaderKillTests.partitions)).leader
    }

    private mutating func kill() async throws {
        guard let node = try leader() else { return }
        await broker.nodes[node].kill()
        note(.alone, 1)
        if random.chance(50) { try await progress() }
        try await broker.nodes[node].start()
    }

    /// The next leader dies as well before the first one is back.
    private mutating func doubleFailover() async throws {
        guard let first = try leader() else { return }
        await broker.nodes[first].kill()
        try await broker.round()
        guard let second = try leader(), second != first else { return try await broker.nodes[first].start() }
        await broker.nodes[second].kill()
        note(.doubleFailover, 2)
        for node in [first, second].shuffled(using: &random) { try await broker.nodes[node].start() }
    }

    /// One at a time: before and after, everybody has everything.
    private mutating func lostDisk() async throws {
        try await broker.rounds { try inSync() }
        guard let node = try leader() else { return }
        try await broker.nodes[node].wipe()
        note(.lostDisk, 1)
        try await broker.nodes[node].start()
        try await broker.rounds { try inSync() }
    }

    /// A follower has less than the others when the leader dies.
    private mutating func lag() async throws {
        guard let node = try leader() else { return }
        let slow = (node + 1) % 3
        broker.nodes[slow].slowDown(by: .milliseconds(20))
        for _ in 0..<20 { try await broker.round() }
        await broker.nodes[node].kill()
        note(.behindFollower, 1)
        try await broker.nodes[node].start()
        broker.nodes[slow].slowDown(by: nil)
    }

    private mutating func cutOff() async throws {
        guard let node = try leader() else { return }
        broker.nodes[node].cutOff()
        try await broker.round()
        broker.nodes[node].reconnect()
        note(.cutOff, 0)
    }

    private mutating func note(_ death: Death, _ kills: Int) {
        deaths[death, default: 0] += 1
        killed += kills
    }

    private func inSync() throws -> Bool {
        try (0..<LeaderKillTests.partitions).allSatisfy { try broker.replication("t", $0).inSync.count == 3 }
    }

    /// How much is visible, or was while there was a leader.
    private func ends() throws -> [Int64] { try broker.describe("t").partitions.map(\.log.upperBound) }

    /// Something more becomes visible in each partition.
    private func progress() async throws {
        let before = try ends()
        try await broker.rounds { try zip(ends(), before).allSatisfy { $0 > $1 } }
    }
}
