/// The pieces that share one commit.
///
/// It forms and runs on whatever thread it is called on, so that it can do without ``WriterThread``.
struct WriteGroup {
    /// A piece with what is known of it since it was submitted.
    struct Entry {
        let piece: any WritePiece
        let byteCount: Int

        init(_ piece: any WritePiece) {
            self.piece = piece
            byteCount = max(0, piece.byteCount)
        }
    }

    private struct AllFailed: Error {}

    let entries: [Entry]

    /// Writes all pieces in one transaction, commits once, and then completes them in order.
    func run(in environment: Environment) {
        var outcomes: [(any Error)?] = Array(repeating: nil, count: entries.count)
        do {
            try environment.write { transaction in
                var quota = QuotaCheck(environment)
                for (index, entry) in entries.enumerated() {
                    do {
                        try quota.admit(byteCount: entry.byteCount, reclaims: entry.piece.reclaims)
                        try write(entry.piece, in: transaction)
                    } catch {
                        outcomes[index] = error
                        if !entry.piece.failsAlone { throw error }
                    }
                }
                // Nothing to commit: no flush.
                if outcomes.allSatisfy({ $0 != nil }) { throw AllFailed() }
                #if CrashPoints
                    CrashPoint.groupWritten.reach()
                #endif
            }
        } catch {
            // It undoes those that had succeeded; the others keep their own errors.
            for index in outcomes.indices where outcomes[index] == nil { outcomes[index] = error }
        }
        #if CrashPoints
            CrashPoint.groupCommitted.reach()
        #endif
        for (entry, error) in zip(entries, outcomes) {
            entry.piece.completed(error.map { .failure($0) } ?? .success(()))
            #if CrashPoints
                CrashPoint.groupTold.reach()
            #endif
        }
    }

    /// Completes all pieces unwritten, as those of a writer that has ended.
    func refuse(path: String) {
        let error = LMDBError(.closed, operation: "write", path: path, detail: "the writer has ended")
        for entry in entries { entry.piece.completed(.failure(error)) }
    }

    private func write(_ piece: any WritePiece, in transaction: borrowing WriteTransaction) throws {
        if entries.count == 1 || !piece.failsAlone {
            // Its failure undoes the whole transaction, which is its own or is meant to be.
            try piece.write(in: transaction)
        } else {
            try transaction.nested { try piece.write(in: $0) }
        }
    }
}

/// The pieces that wait, first in, first out.
struct PieceQueue {
    private var entries: [WriteGroup.Entry?] = []
    /// The entries before this index were taken.
    private var start = 0

    var count: Int { entries.count - start }

    mutating func append(_ entry: WriteGroup.Entry) { entries.append(entry) }

    /// Takes the pieces of the next group: as many as the bounds allow, but one at least.
    ///
    /// - Returns: The group, or nil when nothing waits.
    mutating func next(pieces: Int, bytes: Int) -> WriteGroup? {
        var group: [WriteGroup.Entry] = []
        var total = 0
        while start < entries.count, let entry = entries[start] {
            total += entry.byteCount
            guard group.isEmpty || (group.count < pieces && total <= bytes) else { break }
            group.append(entry)
            entries[start] = nil
            start += 1
        }
        if start == entries.count {
            entries.removeAll(keepingCapacity: true)
            start = 0
        } else if start > 1024 && start > entries.count / 2 {
            entries.removeFirst(start)
            start = 0
        }
        return group.isEmpty ? nil : WriteGroup(entries: group)
    }
}
