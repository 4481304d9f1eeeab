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

    private static func entry(_ batches: ProducerSequences.Batch...) -> ProducerSequences.Entry {
        ProducerSequences.Entry(epoch: 0, lastUse: 7, batches: batches)
    }

    private static func knows(_ producer: Int64, _ storage: Storage) throws -> ProducerSequences.Entry? {
        try storage.read { try SequenceTable.read(uid, producer, in: $0, storage.tables) }
    }

    /// A leader that has removed its first ten chunks, and knows many producers by them.
    private static func trimmedLeader(producers: Int64) async throws -> Storage {
        let leader = try await storage(chunks: 20, compacted: 0)
        let tables = leader.tables
        try await leader.write { transaction in
            var row = try #require(try transaction.partition(uid, in: tables))
            for offset in 0..<Int64(10) {
                _ = try LogKey(uid, offset).withBytes { try transaction.delete($0, in: tables.log) }
            }
            row.start = 10
            try transaction.put(row, for: uid, in: tables)
            let straddling = entry(.init(sequences: 0...0, offset: 9), .init(sequences: 1...1, offset: 12))
            try SequenceTable.write(straddling, uid, 0, in: transaction, tables)
            let later = entry(.init(sequences: 0...0, offset: 15))
            try SequenceTable.write(later, uid, 1, in: transaction, tables)
            for producer in 2..<producers {
                let removed = entry(.init(sequences: 0...0, offset: producer % 10))
                try SequenceTable.write(removed, uid, producer, in: transaction, tables)
            }
        }
        return leader
    }

    @Test("A log that begins where the leader's does learns first of the producers whose chunks are gone, in pieces")
    func learns() async throws {
        let leader = try await Self.trimmedLeader(producers: 1500)
        let follower = try await Self.storage(chunks: 0, compacted: 0)
        _ = try await Self.perform(.restart(at: 10), follower)
        let records = ReplicaMessage.Records(
            epoch: 1,
            from: 10,
            end: 20,
            start: 10,
            epochs: LeaderEpochs([.init(epoch: 1, start: 0)]),
            highWatermark: 20
        )
        #expect(try await Self.perform(.copy(records, from: leader), follower)?.end == 10, "1,024 producers at a time")
        #expect(try Self.knows(1023, follower) != nil)
        #expect(try Self.knows(1024, follower) == nil)
        #expect(try await Self.perform(.copy(records, from: leader), follower)?.end == 20)
        #expect(try Self.knows(0, follower) == Self.entry(.init(sequences: 0...0, offset: 9)))
        #expect(try Self.knows(1, follower) == nil, "of that one a chunk tells")
        #expect(try Self.knows(1499, follower) == Self.knows(1499, leader))
        #expect(try follower.read { try $0.count(follower.tables.sequences) } == 1499)
        await leader.close()
        await follower.close()
    }

    @Test("A log that is cut learns from the leader of whom it can tell nothing any more")
    func learnsAfterACut() async throws {
        let leader = try await Self.trimmedLeader(producers: 3)
        let follower = try await Self.storage(chunks: 20, compacted: 0)
        let tables = follower.tables
        try await follower.write { transaction in
            // What it had of them is behind the cut.
            for producer in [Int64(0), 2] {
                let lost = Self.entry(.init(sequences: 1...1, offset: 16))
                try SequenceTable.write(lost, Self.uid, producer, in: transaction, tables)
            }
        }
        _ = try await Self.perform(.truncate(to: 14), follower)
        let records = ReplicaMessage.Records(
            epoch: 1,
            from: 14,
            end: 20,
            start: 0,
            epochs: LeaderEpochs([.init(epoch: 1, start: 0)]),
            highWatermark: 20
        )
        #expect(try await Self.perform(.copy(records, from: leader), follower)?.end == 20)
        #expect(try Self.knows(0, follower)?.last == 1)
        #expect(try Self.knows(2, follower) == Self.knows(2, leader))
        await leader.close()
        await follower.close()
    }

    @Test("A log whose row is damaged stands still, and its node goes on")
    func damagedRow() async throws {
        let storage = try await Self.storage(chunks: 3, compacted: 0)
        let tables = storage.tables
        let outcome = try await storage.write { transaction in
            try withUnsafeBytes(of: Self.uid.bigEndian) { key in
                _ = try transaction.put(UnsafeRawBufferPointer(start: nil, count: 0), for: key, in: tables.partitions)
            }
            return try FollowerLog(uid: Self.uid, tables: tables, now: 0).perform(.truncate(to: 1), in: transaction)
        }
        #expect(outcome.log == nil)
        #expect((outcome.damage as? BrokerError)?.code == .corrupted)
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
