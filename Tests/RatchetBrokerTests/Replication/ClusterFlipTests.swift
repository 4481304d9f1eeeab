import Ratchet
import Seeds
import Synchronization
import Testing

@testable import RatchetBroker

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@Suite("Broker of several nodes: flipped bits", .serialized)
struct ClusterFlipTests {
    @Test(
        "A bit that flips in the file of a broker of several nodes, or of one of its nodes, is reported, or changes no answer",
        arguments: [("flip.cluster", "data.mdb"), ("flip.node", "node-2/data.mdb")]
    )
    func everywhere(name: String, file: String) async throws {
        let seed = Seed.some(1)[0]
        let scratch = try TemporaryDirectory()
        try await FlippedCluster.make(at: scratch.broker)
        let report = try await FlippedFile.report(
            on: "\(scratch.broker)/\(file)",
            in: scratch.path,
            seed: seed,
            as: name,
            isSlow: true
        ) { path, seed in
            await #expect(processExitsWith: .success) {
                [path = path as String, seed = seed as UInt64, file = file as String] in
                let flips = try Flips(in: path, seed: Seed(value: seed), isSlow: true)
                try await flips.run(isTyped: FlippedCluster.isTyped) { flipped in
                    try await FlippedCluster.content(with: flipped, as: file, else: "\(path)/broker")
                }
            }
        }
        #expect(report.findings == 0, "\(report), \(seed)")
        // Of a node's file few bits are looked at: what it holds of others' logs is read once it leads.
        #expect(report.refused > 0 || name == "flip.node", "\(report), \(seed)")
    }
}

/// A small broker of three nodes, whose last transaction is decided and not in all of its logs.
private enum FlippedCluster {
    private static let files = ["data.mdb"] + (1...3).map { "node-\($0)/data.mdb" }

    /// Ids are the same in each process.
    private static func open(_ path: String, ids: UInt64) async throws -> Broker {
        var configuration = Broker.Configuration.unsynced
        configuration.maximumBytes = 1 << 28
        let random = Mutex(SeededRandom(state: ids))
        configuration.random = { random.withLock { $0.next() } }
        return try await Broker(at: path, configuration: configuration)
    }

    static func isTyped(_ error: any Error) -> Bool { error is BrokerError || error is SourceError }

    static func make(at path: String) async throws {
        let broker = try await open(path, ids: 1)
        try await broker.createTopic("t", partitions: 2, replicationFactor: 3, minInSyncReplicas: 2)
        try await broker.createTopic("table", replicationFactor: 3, minInSyncReplicas: 2, cleanup: .compact)
        for number in 0..<6 {
            let payload = [UInt8](repeating: UInt8(number), count: number * 40)
            try await broker.send(OutgoingMessage(to: "t", key: "k\(number)", payload: payload, partition: number % 2))
            try await broker.send(OutgoingMessage(to: "table", key: "k\(number % 2)", payload: [UInt8(number)]))
        }
        try await FlippedQueue.make(in: broker, replicas: 3)
        let session = try await broker.subscribe(to: "t", as: "billing").open()
        let assignments = try await session.nextAssigned()
        try await session.commit(
            assignments.map { .init(partition: $0.partition, offset: 2, generation: $0.generation, metadata: "m") }
        )
        await session.close()
        let producer = try await broker.producer(ProducerSettings(transactionalID: "orders"))
        try await transaction("done", producer)
        try await broker.rounds { try broker.isWhole() }
        try await broker.compact("table")
        for node in broker.nodes { node.slowDown(by: .seconds(3600)) }
        async let unfinished: Void? = try? transaction("decided", producer)
        while broker.cluster?.redo.owners.isEmpty ?? false { await Task.yield() }
        try await broker.close()
        await unfinished
        let decided = try await Broker.redoRows(at: path)
        try #require(decided > 0)
    }

    private static func transaction(_ text: String, _ producer: Producer) async throws {
        try await producer.transaction { transaction in
            for number in 0..<2 { try transaction.send(.text(text, to: "t", partition: number)) }
        }
    }

    /// All that a broker tells whoever opens it and goes on with it, before and after it is closed once more. In `folder`
    /// is one of its files, flipped, and in `template` are the others.
    static func content(
        with folder: String,
        as flipped: String,
        else template: String
    ) async throws -> Flips.Content {
        let path = folder + "/broker"
        for file in files {
            let directory = "\(path)/\(file)".split(separator: "/").dropLast().joined(separator: "/")
            try FileManager.default.createDirectory(atPath: "/\(directory)", withIntermediateDirectories: true)
            let source = file == flipped ? "\(folder)/data.mdb" : "\(template)/\(file)"
            try FileManager.default.copyItem(atPath: source, toPath: "\(path)/\(file)")
        }
        let first = try await answers(at: path)
        let second = try await answers(at: path)
        return Flips.Content(done: first.done + second.done, rest: first.rest + second.rest)
    }

    private static func answers(at path: String) async throws -> Flips.Content {
        let broker = try await open(path, ids: 2)
        do {
            let content = try await answers(of: broker)
            try await broker.close()
            return content
        } catch {
            try await broker.close()
            throw error
        }
    }

    private static func answers(of broker: Broker) async throws -> Flips.Content {
        var done = try broker.offsets(group: "billing").map { "\($0) \($1)" }.sorted()
        var rest = [broker.id, "\(broker.topics())"]
        for topic in broker.topics() {
            let description = try broker.describe(topic)
            rest.append("\(description.id) \(description.settings)")
        }
        rest += try await broker.held()
        done += try await FlippedQueue.answers(of: broker)
        let producer = try await broker.producer(ProducerSettings(transactionalID: "orders"))
        rest.append("\(producer.id) \(producer.incarnation)")
        try await transaction("more", producer)
        rest.append("\(try await producer.send(.text("last", to: "t", partition: 0)))")
        for topic in broker.topics() { rest.append("\(try broker.logEnds(of: topic).map { "\($0)" }.sorted())") }
        return Flips.Content(done: done, rest: rest)
    }
}
