import LMDB
import Ratchet

/// Compacts one partition's log. Reads and decides on the calling task, in short transactions; the writer thread only
/// puts the finished chunks in place, a few at a time.
///
/// Offsets never change, nor does the log's end; the newest chunk stays as it is. What is replaced is replaced in one
/// transaction, so a compaction that ends anywhere leaves a log in which of each key at least the newest record is
/// there.
struct LogCompaction {
    /// What one transaction reads, or replaces, at most, unless a single chunk is larger.
    private static let pieceBytes = 4 << 20
    private static let pieceChunks = 256

    let log: PartitionLog
    let storage: Storage
    /// What the keys of one pass may take in memory.
    let memory: Int
    /// Tombstones with an earlier timestamp go.
    let tombstonesBefore: Int64

    /// What became of a log.
    struct Outcome {
        var bytesBefore = 0
        var bytesAfter = 0
    }

    /// Goes over the log until all of it but the newest chunk is compacted, in as many passes as the memory for keys
    /// asks for; one compaction of a log at a time. Throws ``BrokerError``: `corrupted` for a chunk that is not what was written, which stays as it is;
    /// `CancellationError` between two pieces.
    func run() async throws -> Outcome {
        await log.compactionTurn.take()
        defer { log.compactionTurn.pass() }
        var outcome = Outcome(bytesBefore: log.bytes, bytesAfter: log.bytes)
        let bound = log.range.upperBound
        while true {
            let (rule, end, isLast) = try note(from: log.compaction.cleanEnd, to: bound)
            try await rewrite(upTo: end, rule, bound: bound)
            outcome.bytesAfter = log.bytes
            if isLast { return outcome }
        }
    }

    // MARK: Noting

    /// Notes the newest records from `start` on, until the memory is used up; where that is, and whether it is all.
    private func note(from start: Int64, to bound: Int64) throws -> (CompactionRule, end: Int64, isLast: Bool) {
        var rule = CompactionRule(newest: NewestOffsets(limit: memory), tombstonesBefore: tombstonesBefore)
        var position = start
        while !rule.newest.isFull {
            try Task.checkCancellation()
            let from = position
            try storage.read { transaction in
                try forEachChunk(from: from, before: bound, in: transaction) { chunk, header in
                    try ChunkLayout.forEachRecord(header, in: chunk) { record, _ in rule.note(record) }
                    position = header.endOffset
                    return !rule.newest.isFull
                }
            }
            if position == from { return (rule, position, true) }
        }
        return (rule, position, false)
    }

    /// Goes over the chunks that hold `position` and what is behind it, up to but not with the one that reaches `end`,
    /// until the body says no, or a piece is full.
    private func forEachChunk(
        from position: Int64,
        before end: Int64,
        in transaction: borrowing ReadTransaction,
        _ body: (UnsafeRawBufferPointer, ChunkLayout.Header) throws -> Bool
    ) throws {
        // No row once the topic is deleted.
        guard let row = try transaction.partition(log.uid, in: storage.tables) else { return }
        var expected = max(position, row.start)
        try transaction.withCursor(in: storage.tables.log) { cursor in
            var next = try cursor.chunk(holding: LogKey(log.uid, expected))
            var (bytes, count) = (0, 0)
            while let (key, chunk) = next.map({ ($0.key, $0.value) }), bytes < Self.pieceBytes, count < Self.pieceChunks
            {
                guard let key = LogKey(key), key.uid == log.uid else { return }
                do {
                    let header = try verified(chunk, key, expected)
                    guard header.endOffset < end, try body(chunk, header) else { return }
                    expected = header.endOffset
                } catch let damage as ChunkLayout.Damage {
                    throw corrupted(key.offset, damage)
                }
                (bytes, count) = (bytes + chunk.count, count + 1)
                next = try cursor.next()
            }
        }
    }

    private func corrupted(_ offset: Int64, _ damage: ChunkLayout.Damage) -> BrokerError {
        BrokerError(
            .corrupted,
            "the chunk at offset \(offset) of \(log.partition): \(damage); it stays as it is, and nothing behind it is "
                + "compacted: restore the broker from a copy"
        )
    }

    private func verified(
        _ chunk: UnsafeRawBufferPointer,
        _ key: LogKey,
        _ expected: Int64
    ) throws -> ChunkLayout.Header {
        let header = try ChunkLayout.header(of: chunk)
        try ChunkLayout.verify(chunk, uid: log.uid)
        guard header.baseOffset == key.offset, header.baseOffset <= expected, expected < header.endOffset else {
            throw ChunkLayout.Damage(
                description: "\(header.baseOffset)..<\(header.endOffset) where \(expected) should be"
            )
        }
        return header
    }
}

// MARK: - Rewriting

extension LogCompaction {
    /// What one transaction replaces.
    private struct Piece {
        var chunks: [CompactedChunk] = []
        /// Where the next one begins.
        var next: Int64
        var size: Int { chunks.reduce(0) { $0 + $1.size } }
    }

    private func rewrite(upTo end: Int64, _ rule: CompactionRule, bound: Int64) async throws {
        var position: Int64 = 0
        var bytes = 0
        var oldestTombstone: Int64?
        while true {
            try Task.checkCancellation()
            let piece = try plan(from: position, to: end, rule)
            if piece.next == position { break }
            // Where a chunk was trimmed meanwhile the piece is planned anew.
            guard try await replace(piece) else { continue }
            position = piece.next
            bytes += piece.size
            for chunk in piece.chunks {
                if let timestamp = chunk.oldestTombstone { oldestTombstone = min(oldestTombstone ?? .max, timestamp) }
            }
        }
        log.compacted { [bytes, oldestTombstone] in
            $0.finish(pass: end, bytes: bytes, seenEnd: bound, oldestTombstone: oldestTombstone)
        }
    }

    private func plan(from position: Int64, to end: Int64, _ rule: CompactionRule) throws -> Piece {
        var piece = Piece(next: position)
        try storage.read { transaction in
            // The chunk that reaches `end` is the last one that was noted: it takes part.
            try forEachChunk(from: position, before: end + 1, in: transaction) { chunk, header in
                let compacted = try CompactedChunk(chunk, header, uid: log.uid, rule: rule)
                if piece.chunks.isEmpty || !piece.chunks[piece.chunks.count - 1].take(compacted) {
                    piece.chunks.append(compacted)
                }
                piece.next = header.endOffset
                return true
            }
        }
        return piece
    }

    /// Puts the chunks in place; false, and nothing is written, when one of those that they replace is another by now.
    private func replace(_ piece: Piece) async throws -> Bool {
        let changed = piece.chunks.filter(\.isChanged).map { (sources: $0.sources, bytes: $0.sealed()) }
        guard !changed.isEmpty else { return true }
        let (log, tables) = (log, storage.tables)
        let size = changed.reduce(0) { $0 + $1.bytes.count }
        let row = try await storage.write(byteCount: size, reclaims: true) { transaction -> PartitionRow? in
            guard var row = try transaction.partition(log.uid, in: tables) else { return nil }
            for (sources, _) in changed {
                for source in sources {
                    let stored = try LogKey(log.uid, source.base).withBytes { try transaction.get($0, in: tables.log) }
                    guard let stored, stored.count >= ChunkLayout.headerSize,
                        ChunkLayout.checksum(of: stored) == source.checksum
                    else { return nil }
                    row.bytes -= Int64(stored.count)
                }
            }
            for (sources, bytes) in changed {
                for source in sources.dropFirst() {
                    try LogKey(log.uid, source.base).withBytes { key in
                        try TransientChunks.forget(key, in: transaction, tables)
                        _ = try transaction.delete(key, in: tables.log)
                    }
                }
                try LogKey(log.uid, sources[0].base).withBytes { key in
                    _ = try bytes.withUnsafeBytes { try transaction.put($0, for: key, in: tables.log) }
                }
                row.bytes += Int64(bytes.count)
            }
            try transaction.put(row, for: log.uid, in: tables)
            return row
        } published: {
            if let row = $0 { log.publish(row) }
        }
        return row != nil
    }
}
