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

    /// Writes all pieces in one transaction, commits once, and then completes them in order. While all of them may wait
    /// for their commit, it takes in what joins them from `queue`.
    func run(in environment: Environment, joinedBy queue: WriterQueue? = nil) {
        var writing = Writing()
        do {
            try environment.write { transaction in
                var quota = QuotaCheck(environment)
                try writing.write(entries, in: transaction, &quota)
                if let queue, writing.mayWait(queue.limits) {
                    let deadline = WaitDeadline(after: queue.limits.delay)
                    while writing.mayWait(queue.limits),
                        let more = try queue.join(until: deadline, path: environment.path)
                    {
                        try writing.write(more.entries, in: transaction, &quota)
                    }
                }
                // Nothing to commit: no flush.
                if writing.outcomes.allSatisfy({ $0 != nil }) { throw AllFailed() }
                #if CrashPoints
                    CrashPoint.groupWritten.reach()
                #endif
            }
        } catch {
            // It undoes those that had succeeded; the others keep their own errors.
            writing.undo(entries, error)
        }
        #if CrashPoints
            CrashPoint.groupCommitted.reach()
        #endif
        for (entry, error) in zip(writing.entries, writing.outcomes) {
            entry.piece.completed(error.map { .failure($0) } ?? .success(()))
            #if CrashPoints
                CrashPoint.groupTold.reach()
            #endif
        }
    }

    /// Completes all pieces unwritten, as those of a writer that has ended.
    func refuse(path: String) {
        for entry in entries { entry.piece.completed(.failure(LMDBError.ended(path))) }
    }
}

/// What one transaction has written so far.
private struct Writing {
    private(set) var entries: [WriteGroup.Entry] = []
    /// Why each of them was not written, nil where it was.
    private(set) var outcomes: [(any Error)?] = []
    private var delayedBytes = 0
    private var isUrgent = false

    /// Whether the commit may wait for more.
    func mayWait(_ limits: WriterThread.Limits) -> Bool {
        !isUrgent && delayedBytes < limits.delayedBytes && entries.count < limits.queuedPieces
    }

    mutating func write(
        _ new: [WriteGroup.Entry],
        in transaction: borrowing WriteTransaction,
        _ quota: inout QuotaCheck
    ) throws {
        let isAlone = entries.isEmpty && new.count == 1
        let first = entries.count
        entries += new
        outcomes += [(any Error)?](repeating: nil, count: new.count)
        // One whose failure undoes all leaves nobody sure of anything before the commit.
        let canTell = new.allSatisfy(\.piece.failsAlone)
        for (index, entry) in new.enumerated() {
            do {
                try quota.admit(byteCount: entry.byteCount, reclaims: entry.piece.reclaims)
                try write(entry.piece, isAlone: isAlone, in: transaction)
                note(entry.piece, canTell: canTell)
            } catch {
                isUrgent = true
                outcomes[first + index] = error
                if !entry.piece.failsAlone { throw error }
            }
        }
    }

    private func write(
        _ piece: any WritePiece,
        isAlone: Bool,
        in transaction: borrowing WriteTransaction
    ) throws {
        if isAlone || !piece.failsAlone {
            // Its failure undoes the whole transaction, which is its own or is meant to be.
            try piece.write(in: transaction)
        } else {
            try transaction.nested { try piece.write(in: $0) }
        }
    }

    private mutating func note(_ piece: any WritePiece, canTell: Bool) {
        guard canTell, let bytes = piece.delayableBytes else {
            isUrgent = true
            return
        }
        delayedBytes += bytes
        piece.written()
    }

    /// The transaction is undone, which was to write `wanted` at least.
    mutating func undo(_ wanted: [WriteGroup.Entry], _ error: any Error) {
        if entries.isEmpty {
            entries = wanted
            outcomes = Array(repeating: nil, count: wanted.count)
        }
        for index in outcomes.indices where outcomes[index] == nil { outcomes[index] = error }
    }
}

extension LMDBError {
    /// What a piece is told that a writer did not commit because it has ended.
    static func ended(_ path: String) -> LMDBError {
        LMDBError(.closed, operation: "write", path: path, detail: "the writer has ended")
    }
}

/// The pieces that wait, first in, first out.
struct PieceQueue {
    private var entries: [WriteGroup.Entry?] = []
    /// The entries before this index were taken.
    private var start = 0

    var count: Int { entries.count - start }

    mutating func append(_ entry: WriteGroup.Entry) { entries.append(entry) }

    /// Takes the pieces of the next group: as many as the bounds allow, but one at least. With `onlyIfAlone` it ends
    /// before a piece whose failure undoes others.
    ///
    /// - Returns: The group, or nil when there is none.
    mutating func next(pieces: Int, bytes: Int, onlyIfAlone: Bool = false) -> WriteGroup? {
        var group: [WriteGroup.Entry] = []
        var total = 0
        while start < entries.count, let entry = entries[start] {
            total += entry.byteCount
            guard group.isEmpty || (group.count < pieces && total <= bytes) else { break }
            if onlyIfAlone, !entry.piece.failsAlone { break }
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
