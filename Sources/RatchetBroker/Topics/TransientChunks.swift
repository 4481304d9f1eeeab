import LMDB
import Ratchet

/// What does not outlive the broker: chunks of transient messages, which the table `transients` names by their keys in
/// the log, and transient topics.
enum TransientChunks {
    /// How many chunks one transaction empties at most.
    private static let maximumChunks = 256

    /// Remembers that the records of the chunk are gone after a restart.
    static func note(_ key: LogKey, in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        try key.withBytes {
            try transaction.putSealed(UnsafeRawBufferPointer(start: nil, count: 0), for: $0, in: tables.transients)
        }
    }

    /// The chunk is removed for good. Nothing when it is not a transient one.
    static func forget(
        _ key: UnsafeRawBufferPointer,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        try transaction.delete(key, in: tables.transients)
    }

    /// Whether the partition holds transient messages.
    static func exist(in uid: UInt32, _ transaction: borrowing ReadTransaction, _ tables: Tables) throws -> Bool {
        try transaction.withCursor(in: tables.transients) { cursor in
            let row = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
            return row.flatMap { LogKey($0.key) }?.uid == uid
        }
    }

    /// Makes a hole of each: the offsets stay used, and nobody is given the messages.
    static func removeAll(_ storage: Storage) async throws {
        let tables = storage.tables
        while try storage.read({ try $0.count(tables.transients) }) > 0 {
            try await storage.write(reclaims: true) { try removeSome(in: $0, tables) }
        }
    }

    /// Deletes the topics that are not durable.
    static func removeTopics(of catalog: Catalog, _ storage: Storage) async throws {
        let tables = storage.tables
        for topic in catalog.all where !topic.row.settings.isDurable {
            try await storage.write(reclaims: true) { try topic.delete(in: $0, tables) }
            catalog[topic.name] = nil
        }
    }

    private static func removeSome(in transaction: borrowing WriteTransaction, _ tables: Tables) throws {
        for key in try first(in: transaction, tables) {
            try key.withBytes { bytes in
                _ = try transaction.delete(bytes, in: tables.transients)
                try empty(key, bytes, in: transaction, tables)
            }
        }
    }

    private static func first(in transaction: borrowing WriteTransaction, _ tables: Tables) throws -> [LogKey] {
        try transaction.withCursor(in: tables.transients) { cursor in
            var keys: [LogKey] = []
            var row = try cursor.first()
            while keys.count < maximumChunks, let found = row {
                _ = try SealedRow.value(of: found.value, for: found.key, "the row of a transient chunk")
                guard let key = LogKey(found.key) else {
                    throw BrokerError(.corrupted, "the key of a transient chunk has \(found.key.count) bytes")
                }
                keys.append(key)
                row = try cursor.next()
            }
            return keys
        }
    }

    /// Retention may have removed the chunk, or its topic. One that is damaged stays as it is, to be seen.
    private static func empty(
        _ key: LogKey,
        _ bytes: UnsafeRawBufferPointer,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        guard var row = try transaction.partition(key.uid, in: tables),
            let chunk = try transaction.get(bytes, in: tables.log), let hole = hole(of: chunk, uid: key.uid)
        else { return }
        row.bytes -= Int64(chunk.count - hole.count)
        _ = try hole.withUnsafeBytes { try transaction.put($0, for: bytes, in: tables.log) }
        try transaction.put(row, for: key.uid, in: tables)
    }

    /// The chunk without its records; nil if it is damaged.
    private static func hole(of chunk: UnsafeRawBufferPointer, uid: UInt32) -> [UInt8]? {
        guard let header = try? ChunkLayout.header(of: chunk), (try? ChunkLayout.verify(chunk, uid: uid)) != nil else {
            return nil
        }
        let empty = ChunkLayout.Header(
            count: 0,
            baseOffset: header.baseOffset,
            maximumTimestamp: header.maximumTimestamp,
            size: 0,
            span: header.span
        )
        guard let entries = try? ChunkLayout.entries(header, in: chunk) else { return nil }
        return ChunkLayout.sealed(empty, [], [], entries, uid: uid)
    }
}
