import LMDB

extension Ledger {
    /// Remembers keys outside of any pipeline, such as those of HTTP requests: tells of each whether it is new, in the
    /// batch and in the window, and returns once that is durable. A crash before it returns leaves all of the batch
    /// remembered or none of it.
    ///
    /// Keys share the window with the pipelines' own: over its count the oldest are forgotten, with a warning, or, where
    /// it is to pause, nothing more is taken. Throws ``LedgerError``, with ``LedgerError/Code/windowFull`` for the
    /// latter, ``CorruptionError`` or ``LMDBError``; nothing was remembered then, unless the error is of the disk.
    public func remember(_ keys: KeyBatch) async throws -> [Bool] {
        if isWindowFull, hasExpired { try await expire() }
        guard !isWindowFull else {
            throw LedgerError(
                .windowFull,
                "\(path) remembers \(keyCount) keys and may forget none before its time; try again later, or raise the window's count"
            )
        }
        let fingerprints = journal.fingerprints(of: keys)
        let outcome = try await withCheckedThrowingContinuation { continuation in
            writer.submit(
                RememberPiece(store: store, keys: keys, fingerprints: fingerprints, continuation: continuation)
            )
        }
        configuration.logger.warn(evicted: outcome.evicted)
        return outcome.isNew
    }
}

extension Journal {
    fileprivate func fingerprints(of keys: KeyBatch) -> [(entry: Int32, fingerprint: UInt64)] {
        let fingerprint = fingerprint
        return keys.stored.withUnsafeBytes { stored in
            var start = 0
            var fingerprints: [(entry: Int32, fingerprint: UInt64)] = []
            fingerprints.reserveCapacity(keys.count)
            for end in keys.ends {
                let key = UnsafeRawBufferPointer(rebasing: stored[start..<Int(end)])
                fingerprints.append((Int32(truncatingIfNeeded: fingerprints.count), fingerprint(key)))
                start = Int(end)
            }
            return fingerprints
        }
    }
}

private struct RememberOutcome {
    var isNew: [Bool] = []
    /// Keys that were forgotten before their time.
    var evicted = 0
}

private final class RememberPiece: WritePiece, @unchecked Sendable {
    let byteCount: Int
    var failsAlone: Bool { false }
    private let store: LedgerStore
    private let keys: KeyBatch
    private let fingerprints: [(entry: Int32, fingerprint: UInt64)]
    private let continuation: CheckedContinuation<RememberOutcome, any Error>
    // Written by `write`, read by `completed`, both on the writer thread.
    private var outcome = RememberOutcome()
    private var isBegun = false

    init(
        store: LedgerStore,
        keys: KeyBatch,
        fingerprints: [(entry: Int32, fingerprint: UInt64)],
        continuation: CheckedContinuation<RememberOutcome, any Error>
    ) {
        self.store = store
        self.keys = keys
        self.fingerprints = fingerprints
        self.continuation = continuation
        byteCount = keys.stored.count + keys.count * 32 + 4096
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        isBegun = true
        try store.guarded {
            var candidates: [Journal.Candidate] = []
            let sequence = store.journal.enter(fingerprints, candidates: &candidates)
            store.builder.pointee.removeAll()
            let repeated = try append(candidates, sequence: sequence, in: transaction)
            store.journal.withdraw(repeated, sequence: sequence)
            if store.builder.pointee.count > 0 {
                try store.journal.append(store.builder.pointee, sequence: sequence, time: store.now, in: transaction)
            }
            outcome.evicted = try store.expire(entries: 2, keys: 2 * store.builder.pointee.count, in: transaction)
            try store.writeTotalsAndClock(in: transaction)
        }
    }

    /// Appends the keys that are new; returns the fingerprints of the others.
    private func append(
        _ candidates: [Journal.Candidate],
        sequence: UInt64,
        in transaction: borrowing WriteTransaction
    ) throws -> [UInt64] {
        outcome.isNew = Array(repeating: true, count: fingerprints.count)
        var repeated: [UInt64] = []
        let partition = store.builder.pointee.number(of: keys.passed?.partition ?? TopicPartition("", 0))
        try keys.stored.withUnsafeBytes { stored in
            var (start, next) = (0, 0)
            for number in 0..<fingerprints.count {
                let end = Int(keys.ends[number])
                let key = UnsafeRawBufferPointer(rebasing: stored[start..<end])
                start = end
                let fingerprint = fingerprints[number].fingerprint
                while next < candidates.count, candidates[next].entry == number {
                    if outcome.isNew[number],
                        try isKnown(key, fingerprint, candidates[next].sequence, sequence, in: transaction)
                    {
                        outcome.isNew[number] = false
                        repeated.append(fingerprint)
                    }
                    next += 1
                }
                guard outcome.isNew[number] else { continue }
                store.builder.pointee.append(
                    key: key,
                    fingerprint: fingerprint,
                    outcome: keys.passed == nil ? .processed : .passed,
                    partition: partition,
                    offset: keys.passed?.offsets[number] ?? -1,
                    payloadDigest: 0
                )
            }
        }
        return repeated
    }

    private func isKnown(
        _ key: UnsafeRawBufferPointer,
        _ fingerprint: UInt64,
        _ candidate: UInt32,
        _ sequence: UInt64,
        in transaction: borrowing WriteTransaction
    ) throws -> Bool {
        if candidate == UInt32(truncatingIfNeeded: sequence) {
            return store.builder.pointee.record(of: key, fingerprint: fingerprint) != nil
        }
        return try store.journal.record(of: key, fingerprint: fingerprint, at: candidate, in: transaction) != nil
    }

    func completed(_ result: Result<Void, any Error>) {
        // A piece that was refused has changed nothing, and may be on another thread than the store's.
        if case .failure(let error) = result, isBegun { store.fail(error) }
        continuation.resume(with: result.map { outcome })
    }
}
