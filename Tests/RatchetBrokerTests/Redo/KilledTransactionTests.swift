import Ratchet
import Seeds
import Testing

@testable import RatchetBroker

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A process with a broker of three nodes that dies of SIGKILL while transactions are on their way, again and again.
@Suite("Transactions and killed processes", .timeLimit(.minutes(30)))
struct KilledTransactionTests {
    private static let lives = 6

    @Test("What was told to be committed is there after each kill, and of each transaction all or nothing")
    func kills() async throws {
        let directory = try TemporaryDirectory()
        let seed = Seed.some(1)[0]
        var random = seed.random
        for life in 0..<Self.lives {
            let most = 5 + random.below(30)
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = directory.broker as String, life = life as Int, most = most as Int] in
                try await DoomedProcess.run(at: path, life: life, until: most)
            }
            let broker = try await Broker(at: directory.broker, configuration: .replicated)
            let told = try await broker.texts(DoomedProcess.told)
            var all: [[String]] = []
            for number in 0..<3 { all.append(try await broker.texts(TopicPartition("t", number)).sorted()) }
            #expect(all[0] == all[1] && all[1] == all[2], "\(seed), life \(life)")
            #expect(Set(all[0]).count == all[0].count, "\(seed), life \(life)")
            #expect(told.count >= 5 && Set(told).isSubset(of: all[0]), "\(seed), life \(life)")
            try await broker.close()
        }
    }
}

private enum DoomedProcess {
    /// Where it says what it was told to be committed, before it goes on.
    static let told = TopicPartition("told", 0)

    /// Three producers at once; dies when so many transactions were told to be committed.
    static func run(at path: String, life: Int, until most: Int) async throws {
        let broker = try await Broker(at: path, configuration: .replicated)
        try await broker.createTopic("t", partitions: 3, replicationFactor: 3, minInSyncReplicas: 2)
        try await broker.createTopic("told", replicationFactor: 3, minInSyncReplicas: 2)
        let committed = Notes<String>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in ["a", "b", "c"] {
                group.addTask {
                    let producer = try await broker.producer(ProducerSettings(transactionalID: name))
                    for number in 0... {
                        let text = "\(name) \(life) \(number)"
                        try await producer.transaction { transaction in
                            for partition in 0..<3 { try transaction.send(.text(text, to: "t", partition: partition)) }
                        }
                        try await broker.send(.text(text, to: "told"))
                        // The others are somewhere on their way.
                        committed.add(text)
                        if committed.all.count >= most { kill(getpid(), SIGKILL) }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
