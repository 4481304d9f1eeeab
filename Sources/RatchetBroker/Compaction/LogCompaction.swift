import LMDB
import Ratchet

/// Compacts one log. Reads and decides on the calling task, in short transactions; the writer thread only puts the
/// finished chunks in place, a few at a time.
///
/// Offsets never change, nor does the log's end; the newest chunk stays as it is. What is replaced is replaced in one
/// transaction, so a compaction that ends anywhere leaves a log in which of each key at least the newest record is
/// there.
struct LogCompaction {
    /// What one transaction reads, or replaces, at most, unless a single chunk is larger.
    private static let pieceBytes = 4 << 20
    private static let pieceChunks = 256

    let log: any CompactableLog
    /// What the keys of one pass may take in memory.
    let memory: Int
    /// Tombstones with an earlier timestamp go.
    let tombstonesBefore: Int64

    private var storage: Storage { log.storage }

    /// What became of a log.
    struct Outcome {
        var bytesBefore = 0
        var bytesAfter = 0
    }

    /// Whether it is worth its while.
    func isDue() throws -> Bool {
        guard let (bytes, state) = try current() else { return false }
        return state.isDue(bytes: bytes, end: log.bound, tombstonesBefore: tombstonesBefore)
    }

    /// Goes over the log until all of it but the newest chunk is compacted, in as many passes as the memory for keys
    /// asks for; one compaction of a log at a time. Ends early, and well, when a replica's log is cut off meanwhile.
    /// Throws ``BrokerError``: `corrupted` for a chunk that is not what was written, which stays as it is;
    /// `CancellationError` between two pieces.
    func run() async throws -> Outcome {
        guard var (bytes, state) = try current() else { return Outcome() }
        var outcome = Outcome(bytesBefore: bytes, bytesAfter: bytes)
        let bound = log.bound
        while true {
            let (rule, end, isLast) = try note(from: state.cleanEnd, to: bound)
            guard let rewritten = try await rewrite(upTo: end, rule, cuts: state.cuts) else { return outcome }
            bytes = try current()?.bytes ?? 0
            state.finish(pass: end, bytes: rewritten.bytes, seenEnd: bound, oldestTombstone: rewritten.oldestTombstone)
            log.compacted(state)
            outcome.bytesAfter = bytes
            if isLast { return outcome }
        }
    }

    /// The bytes that the log takes, and how far it is compacted as it is now; nil once its topic is deleted.
    private func current() throws -> (bytes: Int, state: CompactionState)? {
        let (log, tables) = (log, storage.tables)
        let found = try storage.read { transaction in
            try transaction.partition(log.uid, in: tables).map { row in
                let mark = log.isReplica ? try ReplicationTable.mark(of: log.uid, in: transaction, tables) : .init()
                return (Int(row.bytes), mark.cuts)
            }
        }
        guard let (bytes, cuts) = found else { return nil }
        let state = log.compaction
        return (bytes, state.cuts == cuts ? state : CompactionState(cuts: cuts))
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

    /// What became of one.
    private enum Replacement {
        case done(PartitionRow)
        /// One of the chunks that it replaces is another by now.
        case outdated
        /// The log was cut off since the pass began: what was noted is not there, or not newer.
        case void
    }

    /// What a pass has left.
    private struct Rewritten {
        var bytes = 0
        var oldestTombstone: Int64?
    }

    /// Nil when the log was cut off meanwhile.
    private func rewrite(upTo end: Int64, _ rule: CompactionRule, cuts: Int64) async throws -> Rewritten? {
        var position: Int64 = 0
        var rewritten = Rewritten()
        while true {
            try Task.checkCancellation()
            let piece = try plan(from: position, to: end, rule)
            if piece.next == position { return rewritten }
            if piece.chunks.contains(where: \.isChanged) {
                switch try await replace(piece, pass: end, cuts: cuts) {
                case .done: break
                case .outdated: continue
                case .void: return nil
                }
            }
            position = piece.next
            rewritten.bytes += piece.size
            for timestamp in piece.chunks.compactMap(\.oldestTombstone) {
                rewritten.oldestTombstone = min(rewritten.oldestTombstone ?? .max, timestamp)
            }
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

    /// Puts the chunks in place, or writes nothing.
    private func replace(_ piece: Piece, pass end: Int64, cuts: Int64) async throws -> Replacement {
        let changed = piece.chunks.filter(\.isChanged).map { (sources: $0.sources, bytes: $0.sealed()) }
        let lost = CompactionMark(end: end, tombstones: piece.chunks.map(\.tombstonesEnd).max() ?? 0)
        let (log, tables) = (log, storage.tables)
        let size = changed.reduce(0) { $0 + $1.bytes.count }
        return try await storage.write(byteCount: size, reclaims: true) { transaction -> Replacement in
            guard var row = try transaction.partition(log.uid, in: tables) else { return .outdated }
            if log.isReplica {
                var mark = try ReplicationTable.mark(of: log.uid, in: transaction, tables)
                guard mark.cuts == cuts else { return .void }
                mark.include(lost)
                try ReplicationTable.write(mark, log.uid, in: transaction, tables)
            }
            for (sources, _) in changed {
                for source in sources {
                    let stored = try LogKey(log.uid, source.base).withBytes { try transaction.get($0, in: tables.log) }
                    guard let stored, stored.count >= ChunkLayout.headerSize,
                        ChunkLayout.checksum(of: stored) == source.checksum
                    else { return .outdated }
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
            #if CrashPoints
                CrashPoint.compactionWritten.reach()
            #endif
            return .done(row)
        } published: {
            #if CrashPoints
                CrashPoint.compactionCommitted.reach()
            #endif
            if case .done(let row) = $0 { log.resized(row) }
        }
    }
}
