import LMDB
import Ratchet
import Testing

@testable import RatchetBroker

/// A message as a node stores it.
struct StoredRecord: Hashable {
    let offset: Int64
    let key: String
    let bytes: [UInt8]
    let isTombstone: Bool

    /// Of each key the newest, tombstones for nothing.
    static func table(_ records: [StoredRecord]) -> [String: StoredRecord] {
        var table: [String: StoredRecord] = [:]
        for record in records { table[record.key] = record.isTombstone ? nil : record }
        return table
    }
}

extension Broker {
    /// The messages of a partition that a node stores, in order; its chunks must follow each other.
    func records(of node: Int, in topic: String = "t", _ number: Int = 0) throws -> [StoredRecord] {
        let storage = try #require(cluster?.nodes[node].storage)
        let uid = try #require(catalog.log(of: TopicPartition(topic, number))).uid
        return try storage.read { transaction in
            let stored = try #require(try transaction.partition(uid, in: storage.tables))
            var (records, end, bytes): ([StoredRecord], Int64, Int64) = ([], stored.start, 0)
            try transaction.withCursor(in: storage.tables.log) { cursor in
                var row = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
                while let chunk = row, let key = LogKey(chunk.key), key.uid == uid {
                    let header = try ChunkLayout.header(of: chunk.value)
                    try ChunkLayout.verify(chunk.value, uid: uid)
                    #expect(header.baseOffset == key.offset && key.offset == end, "node \(node) has a hole at \(end)")
                    try ChunkLayout.forEachRecord(header, in: chunk.value) { record, bytes in
                        records.append(
                            StoredRecord(
                                offset: record.offset,
                                key: String(decoding: record.key ?? .init(start: nil, count: 0), as: UTF8.self),
                                bytes: Array(bytes),
                                isTombstone: record.isTombstone
                            )
                        )
                    }
                    (end, bytes) = (header.endOffset, bytes + Int64(chunk.value.count))
                    row = try cursor.next()
                }
            }
            #expect(end == stored.end && bytes == stored.bytes, "node \(node) ends at \(end), its row says \(stored)")
            return records
        }
    }

    /// How far a node's log is without what compaction has removed.
    func mark(of node: Int, in topic: String = "t") throws -> CompactionMark {
        let storage = try #require(cluster?.nodes[node].storage)
        let uid = try #require(catalog.log(of: TopicPartition(topic, 0))).uid
        return try storage.read { try ReplicationTable.mark(of: uid, in: $0, storage.tables) }
    }

    /// Compacts what one node has of a partition.
    func compact(node: Int, in topic: String = "t") async throws {
        let log = try #require(catalog.log(of: TopicPartition(topic, 0)))
        let place = try #require(cluster?.compactableLogs(of: log).first { $0.node == node })
        let limit = configuration.time.wall() - log.settings.deleteRetention.milliseconds
        _ = try await LogCompaction(log: place, memory: configuration.compactionMemory, tombstonesBefore: limit).run()
    }
}
