import LMDB
import Ratchet

/// The table `sequences`, keyed by the partition's uid and the producer's id: what the partition knows of the producer.
/// It lies where the chunks lie, and is written in the transaction that writes them.
///
///     epoch i32 | last use i64 | (first sequence i32 | last sequence i32 | offset i64) × 1 to 5
enum SequenceTable {
    private static let fixedSize = 12
    private static let batchSize = 16

    static func read(
        _ uid: UInt32,
        _ producer: Int64,
        in transaction: borrowing some Transaction & ~Copyable,
        _ tables: Tables
    ) throws -> ProducerSequences.Entry? {
        try LogKey(uid, producer).withBytes { key in
            try transaction.sealed(key, in: tables.sequences, "producer \(producer) in partition \(uid)")
                .map { try entry($0, uid, producer) }
        }
    }

    static func write(
        _ entry: ProducerSequences.Entry,
        _ uid: UInt32,
        _ producer: Int64,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        try encoded(entry).withUnsafeBytes { value in
            try LogKey(uid, producer).withBytes { try transaction.putSealed(value, for: $0, in: tables.sequences) }
        }
    }

    /// Writes what is known of these producers.
    static func write(
        _ producers: [Int64],
        of sequences: ProducerSequences,
        _ uid: UInt32,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        for producer in producers {
            guard let entry = sequences.entries[producer] else { continue }
            try write(entry, uid, producer, in: transaction, tables)
        }
    }

    static func encoded(_ entry: ProducerSequences.Entry) -> [UInt8] {
        var value: [UInt8] = []
        value.appendLittleEndian(entry.epoch)
        value.appendLittleEndian(entry.lastUse)
        for batch in entry.batches {
            value.appendLittleEndian(batch.sequences.lowerBound)
            value.appendLittleEndian(batch.sequences.upperBound)
            value.appendLittleEndian(batch.offset)
        }
        return value
    }

    /// What a row's bytes say; throws ``BrokerError/Code/corrupted`` when they say nothing that could be.
    static func entry(
        _ stored: UnsafeRawBufferPointer,
        _ uid: UInt32,
        _ producer: Int64
    ) throws(BrokerError) -> ProducerSequences.Entry {
        func number<N: FixedWidthInteger>(_ offset: Int, _: N.Type) -> N {
            N(littleEndian: stored.loadUnaligned(fromByteOffset: offset, as: N.self))
        }
        let (count, rest) = (stored.count - fixedSize).quotientAndRemainder(dividingBy: batchSize)
        guard rest == 0, 1...ProducerSequences.Entry.maximumBatches ~= count else {
            throw BrokerError(.corrupted, "producer \(producer) in partition \(uid) has a row of \(stored.count) bytes")
        }
        var batches: [ProducerSequences.Batch] = []
        for at in stride(from: fixedSize, to: stored.count, by: batchSize) {
            let (first, last, offset) = (number(at, Int32.self), number(at + 4, Int32.self), number(at + 8, Int64.self))
            guard 0 <= first, first <= last, 0..<PartitionRow.maximum ~= offset else {
                throw BrokerError(
                    .corrupted,
                    "producer \(producer) in partition \(uid) has sequences \(first) to \(last) at \(offset)"
                )
            }
            batches.append(.init(sequences: first...last, offset: offset))
        }
        return ProducerSequences.Entry(epoch: number(0, Int32.self), lastUse: number(4, Int64.self), batches: batches)
    }
}

// MARK: - Replicas

extension SequenceTable {
    /// Takes over what a chunk says that another node has written: the chunk, verified, is in the partition by the same
    /// transaction.
    static func apply(
        _ chunk: UnsafeRawBufferPointer,
        _ uid: UInt32,
        now: Int64,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        let header = try ChunkLayout.header(of: chunk)
        guard header.producers > 0 else { return }
        var sequences = ProducerSequences()
        var touched: [Int64] = []
        for entry in try ChunkLayout.entries(header, in: chunk) {
            if !touched.contains(entry.producer) {
                touched.append(entry.producer)
                if let known = try read(uid, entry.producer, in: transaction, tables) {
                    sequences.remember(known, of: entry.producer)
                }
            }
            sequences.record(entry.stamp, at: header.baseOffset + Int64(entry.delta), now: now)
        }
        try write(touched, of: sequences, uid, in: transaction, tables)
    }

    /// Takes over what another node knows of producers at the offset `end`, of those with numbers from `first` on of whom
    /// nothing is known here: some at a time. Returns the number to go on from, nil at the end.
    static func learn(
        _ uid: UInt32,
        at end: Int64,
        from first: Int64,
        of source: borrowing ReadTransaction,
        _ theirs: Tables,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> Int64? {
        try source.withCursor(in: theirs.sequences) { cursor in
            var row = try LogKey(uid, first).withBytes { try cursor.seek(atLeast: $0) }
            for _ in 0..<maximumRows {
                guard let (bytes, stored) = row.map({ ($0.key, $0.value) }), let key = LogKey(bytes), key.uid == uid
                else { return nil }
                // A damaged row helps nobody: theirs is left to be seen there, one that is here makes way for theirs.
                if let entry = try? sealed(stored, bytes, key).cut(at: end),
                    (try? read(uid, key.offset, in: transaction, tables)) == nil
                {
                    try write(entry, uid, key.offset, in: transaction, tables)
                }
                row = try cursor.next()
            }
            return row.flatMap { LogKey($0.key) }.flatMap { $0.uid == uid ? $0.offset : nil }
        }
    }

    /// Takes back what came from chunks at `end` and behind, which the same transaction has cut off. Of whom nothing is
    /// left is looked up in the chunks that stay: the whole of the partition is read. Returns whether all of them were
    /// found there.
    static func cut(
        _ uid: UInt32,
        at end: Int64,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> Bool {
        var lost: [Int64: Int64] = [:]
        for (producer, entry) in try all(of: uid, in: transaction, tables) {
            guard let kept = entry.cut(at: end) else {
                lost[producer] = entry.lastUse
                _ = try LogKey(uid, producer).withBytes { try transaction.delete($0, in: tables.sequences) }
                continue
            }
            if kept != entry { try write(kept, uid, producer, in: transaction, tables) }
        }
        guard !lost.isEmpty else { return true }
        var sequences = ProducerSequences()
        try transaction.withCursor(in: tables.log) { cursor in
            var row = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
            while let (key, chunk) = row.map({ ($0.key, $0.value) }), let key = LogKey(key), key.uid == uid {
                let header = try ChunkLayout.header(of: chunk)
                for entry in try ChunkLayout.entries(header, in: chunk) {
                    guard let lastUse = lost[entry.producer] else { continue }
                    sequences.record(entry.stamp, at: header.baseOffset + Int64(entry.delta), now: lastUse)
                }
                row = try cursor.next()
            }
        }
        try write(lost.keys.sorted(), of: sequences, uid, in: transaction, tables)
        return sequences.entries.count == lost.count
    }

    private static func all(
        of uid: UInt32,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> [(Int64, ProducerSequences.Entry)] {
        try transaction.withCursor(in: tables.sequences) { cursor in
            var found: [(Int64, ProducerSequences.Entry)] = []
            var row = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
            while let (bytes, stored) = row.map({ ($0.key, $0.value) }), let key = LogKey(bytes), key.uid == uid {
                found.append((key.offset, try sealed(stored, bytes, key)))
                row = try cursor.next()
            }
            return found
        }
    }

    private static func sealed(
        _ stored: UnsafeRawBufferPointer,
        _ bytes: UnsafeRawBufferPointer,
        _ key: LogKey
    ) throws(BrokerError) -> ProducerSequences.Entry {
        let what = "producer \(key.offset) in partition \(key.uid)"
        return try entry(SealedRow.value(of: stored, for: bytes, what), key.uid, key.offset)
    }
}

extension ProducerEntry {
    /// The batch that it speaks of.
    var stamp: ProducerStamp { ProducerStamp(producer: producer, epoch: epoch, sequences: sequences) }
}

// MARK: - What goes

extension SequenceTable {
    /// How many rows one transaction looks at.
    static let maximumRows = 1024

    /// Removes rows of a deleted partition; whether none is left.
    static func removeSome(of uid: UInt32, in transaction: borrowing WriteTransaction, _ tables: Tables) throws -> Bool
    {
        try transaction.withCursor(in: tables.sequences) { cursor in
            var row = try LogKey(uid, 0).withBytes { try cursor.seek(atLeast: $0) }
            for _ in 0..<maximumRows {
                guard let key = row.flatMap({ LogKey($0.key) }), key.uid == uid else { return true }
                try cursor.delete()
                row = try cursor.next()
            }
            return false
        }
    }

    /// Looks at the rows from `start` on for producers that were silent for longer than `limit`: their rows, and where
    /// the next look begins, nil at the end.
    static func expired(
        from start: LogKey,
        now: Int64,
        limit: Duration,
        in transaction: borrowing ReadTransaction,
        _ tables: Tables
    ) throws -> (rows: [LogKey], next: LogKey?) {
        try transaction.withCursor(in: tables.sequences) { cursor in
            var found: [LogKey] = []
            var row = try start.withBytes { try cursor.seek(atLeast: $0) }
            for _ in 0..<maximumRows {
                guard let (bytes, stored) = row.map({ ($0.key, $0.value) }), let key = LogKey(bytes) else {
                    return (found, nil)
                }
                // What is decided may wait for a node for any time; a damaged row is left to be seen.
                if !ProducerStamp.isDecided(key.offset), let entry = try? sealed(stored, bytes, key),
                    entry.isExpired(now: now, limit: limit)
                {
                    found.append(key)
                }
                row = try cursor.next()
            }
            return (found, row.flatMap { LogKey($0.key) })
        }
    }

    /// Removes the rows whose producers are still silent.
    static func remove(
        _ rows: [LogKey],
        now: Int64,
        limit: Duration,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws {
        for key in rows {
            guard let entry = try read(key.uid, key.offset, in: transaction, tables),
                entry.isExpired(now: now, limit: limit)
            else { continue }
            _ = try key.withBytes { try transaction.delete($0, in: tables.sequences) }
        }
    }
}
