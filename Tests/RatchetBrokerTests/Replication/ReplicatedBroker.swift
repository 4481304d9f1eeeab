import LMDB
import Ratchet
import Synchronization
import Testing

@testable import RatchetBroker

extension Broker.Configuration {
    /// Three nodes and no noise.
    static var replicated: Self {
        var configuration = Self.quiet
        configuration.nodes = 3
        return configuration
    }
}

extension Broker {
    /// A row of a node's log, as it is stored.
    struct ChunkRow: Hashable {
        let key: [UInt8]
        let value: [UInt8]
    }

    /// All chunks that a node stores.
    func chunks(of node: Int) throws -> [ChunkRow] {
        let storage = try #require(cluster?.nodes[node].storage)
        return try storage.read { transaction in
            try transaction.withCursor(in: storage.tables.log) { cursor in
                var rows: [ChunkRow] = []
                var row = try cursor.first()
                while let found = row {
                    rows.append(ChunkRow(key: Array(found.key), value: Array(found.value)))
                    row = try cursor.next()
                }
                return rows
            }
        }
    }

    /// Lets the nodes write what they are to write.
    func round() async throws {
        let cluster = try #require(cluster)
        cluster.tick()
        try await storage.write { _ in }
        for node in cluster.nodes {
            guard let storage = node.storage else { continue }
            do { try await storage.write { _ in } } catch let error as BrokerError where storage.hasEnded(error) {
                continue
            }
        }
    }

    /// Returns once it is so: after so many rounds at the latest, and then it is a fault.
    func rounds(_ most: Int = 20_000, until isSo: () throws -> Bool) async throws {
        for _ in 0..<most {
            if try isSo() {
                // What was decided is told once it is written.
                try await storage.write { _ in }
                return
            }
            try await round()
        }
        let cluster = try #require(cluster)
        let now = cluster.partitions.map {
            "\($0.log.partition) \($0.log.range): \(String(describing: cluster.leadership(of: $0.log.uid)))"
        }
        Issue.record("not so after \(most) rounds: \(now)")
    }

    /// Whether all replicas of all partitions are in sync and have all that there is.
    func isWhole() throws -> Bool {
        let cluster = try #require(cluster)
        return cluster.partitions.allSatisfy { partition in
            guard let leadership = cluster.leadership(of: partition.log.uid), leadership.leader != nil else {
                return false
            }
            return leadership.inSync.count == leadership.replicas.count && partition.isLevel
        }
    }

    func replication(_ topic: String, _ number: Int = 0) throws -> TopicDescription.Replication {
        try #require(try describe(topic).partitions[number].replication)
    }
}

extension ReplicatedPartition {
    /// Whether all members' logs end where everybody may see them end.
    var isLevel: Bool {
        state.withLock { state in
            state.members.allSatisfy { $0.map { $0.replica.log.end == log.range.upperBound } ?? true }
        }
    }
}
