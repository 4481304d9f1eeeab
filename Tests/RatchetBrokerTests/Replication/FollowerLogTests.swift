import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("What a follower does to its log", .timeLimit(.minutes(30)))
struct FollowerLogTests {
    private static let uid: UInt32 = 3

    /// A node's file with chunks of one message each, of which those before `compacted` count as compacted.
    private static func storage(chunks: Int64, compacted: Int64) async throws -> Storage {
        var configuration = Broker.Configuration.quiet
        (configuration.isDurable, configuration.checksFile) = (false, false)
        let settings = Storage.Settings(configuration)
        let storage = try Storage(at: nil, settings, id: [UInt8](repeating: 1, count: 16), kind: Storage.nodeKind)
        let tables = storage.tables
        var record: [UInt8] = []
        [UInt8(65)].withUnsafeBytes { record.appendRecord(key: $0, headers: [], payload: $0, timestamp: 5) }
        try await storage.write { [record] transaction in
            var row = PartitionRow()
            for offset in 0..<chunks {
                let header = ChunkLayout.Header(
                    count: 1,
                    baseOffset: offset,
                    maximumTimestamp: 5,
                    size: record.count
                )
                let chunk = ChunkLayout.sealed(header, record, [], [], uid: uid)
                _ = try LogKey(uid, offset).withBytes { key in
                    try chunk.withUnsafeBytes { try transaction.put($0, for: key, in: tables.log) }
                }
                row.bytes += Int64(chunk.count)
            }
            row.end = chunks
            try transaction.put(row, for: uid, in: tables)
            let replica = ReplicaRow(epochs: LeaderEpochs([.init(epoch: 1, start: 0)]), highWatermark: compacted)
            try ReplicationTable.write(replica, uid, in: transaction, tables)
            try ReplicationTable.write(CompactionMark(end: compacted), uid, in: transaction, tables)
        }
        return storage
    }

    private static func perform(_ kind: FollowerTask.Kind, _ storage: Storage) async throws -> Replica.LogState? {
        let tables = storage.tables
        return try await storage.write { transaction in
            try FollowerLog(uid: uid, tables: tables, now: 0).perform(kind, in: transaction).log
        }
    }

    private static func mark(_ storage: Storage) throws -> CompactionMark {
        try storage.read { try ReplicationTable.mark(of: uid, in: $0, storage.tables) }
    }

    @Test("A log that is cut off behind what is compacted loses that and no more")
    func above() async throws {
        let storage = try await Self.storage(chunks: 20, compacted: 12)
        let log = try await Self.perform(.truncate(to: 12), storage)
        #expect(log == Replica.LogState(start: 0, end: 12, epochs: LeaderEpochs([.init(epoch: 1, start: 0)])))
        #expect(try Self.mark(storage) == CompactionMark(end: 12, cuts: 1))
        await storage.close()
    }

    @Test("One that is cut off within what is compacted goes as a whole, also where that takes several transactions")
    func below() async throws {
        let storage = try await Self.storage(chunks: 1500, compacted: 1400)
        let first = try await Self.perform(.truncate(to: 1300), storage)
        #expect(first?.end == 476, "1,024 chunks at a time")
        #expect(try Self.mark(storage).isVoid)
        // The leader takes what is left for a beginning of its own log, and sends what comes behind.
        let records = ReplicaMessage.Records(
            epoch: 2,
            from: 476,
            end: 1300,
            start: 0,
            epochs: LeaderEpochs([.init(epoch: 1, start: 0)]),
            highWatermark: 1300
        )
        let second = try await Self.perform(.copy(records, from: storage), storage)
        #expect(second == Replica.LogState(start: 0, end: 0))
        #expect(try Self.mark(storage) == CompactionMark(cuts: 2))
        #expect(try storage.read { try $0.count(storage.tables.log) } == 0)
        await storage.close()
    }
}
