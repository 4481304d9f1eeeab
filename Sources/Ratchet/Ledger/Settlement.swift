import LMDB

/// Settles a batch of messages in one transaction: the ledger's heart. On the writer thread.
struct Settlement<Handler: SettlementHandler>: ~Copyable {
    let store: LedgerStore
    let handler: Handler
    let scope: TransactionScope
    let builder: UnsafeMutablePointer<JournalBuilder>
    var report = SettlementReport()
    var sequence: UInt64 = 0
    private var candidates: [Journal.Candidate] = []
    private var nextCandidate = 0
    var unrecorded: [UInt64] = []
    var touched: [PartitionLease] = []
    var run: Run?
    private var clock: Int64 = 0

    /// Offsets that were settled one after the other and not entered into their tracker yet.
    struct Run {
        var batch: KeyedBatch
        var covered: Range<Int64>
        var last: Int
    }

    init(store: LedgerStore, handler: Handler, scope: TransactionScope) {
        self.store = store
        self.handler = handler
        self.scope = scope
        builder = store.builder
    }

    consuming func settle(_ entries: [SettlementEntry], in transaction: borrowing WriteTransaction) throws
        -> SettlementReport
    {
        builder.pointee.removeAll()
        report.outcomes.reserveCapacity(entries.count)
        enterKeys(of: entries)
        clock = store.time.monotonic()
        for number in entries.indices {
            let outcome = try settle(entries[number], number: number, in: transaction)
            if entries[number].batch.isKeyed, !isRecorded(outcome, entries[number]) {
                unrecorded.append(entries[number].fingerprint)
            }
            report.outcomes.append(outcome)
        }
        endRun()
        try finish(in: transaction)
        return report
    }

    private mutating func enterKeys(of entries: [SettlementEntry]) {
        var fingerprints: [(entry: Int32, fingerprint: UInt64)] = []
        fingerprints.reserveCapacity(entries.count)
        for number in entries.indices where entries[number].batch.isKeyed {
            fingerprints.append((Int32(truncatingIfNeeded: number), entries[number].fingerprint))
        }
        sequence = store.journal.enter(fingerprints, candidates: &candidates)
    }

    private func isRecorded(_ outcome: SettlementOutcome, _ entry: SettlementEntry) -> Bool {
        switch outcome {
        case .processed, .deadLettered, .discarded: true
        default: false
        }
    }

    private mutating func settle(
        _ entry: SettlementEntry,
        number: Int,
        in transaction: borrowing WriteTransaction
    ) throws -> SettlementOutcome {
        let lease = entry.batch.lease
        let position = lease.position
        let isCurrent = position.generation == lease.generation && !lease.isFenced
        #if BrokenVariants
            guard isCurrent || BrokenVariant.noFencing.isOn else { return .fenced }
        #else
            guard isCurrent else { return .fenced }
        #endif
        if position.tracker.isDone(entry.offset) || isInRun(entry) {
            store.totals.redelivered += 1
            return .redelivered
        }
        if !lease.blockedLanes.isEmpty, !entry.isFault {
            let lane = handler.lane(of: entry)
            if entry.opensLane { lease.blockedLanes.remove(lane) }
            if lease.blockedLanes.contains(lane) { return .deferred }
        }
        if entry.batch.isKeyed, let first = try earlier(entry, number: number, in: transaction) {
            return try settleDuplicate(entry, of: first, number: number, in: transaction)
        }
        if case .duplicate? = entry.result {
            #if BrokenVariants
                if BrokenVariant.duplicateDoneEarly.isOn {
                    markDone(entry)
                    return .duplicate
                }
            #endif
            lease.blockedLanes.insert(handler.lane(of: entry))
            return .failed(ForgottenKeyError())
        }
        switch entry.verdict {
        case .deadLetter(let reason, let error): return try giveUp(entry, reason, error, in: transaction)
        case .discard: return discard(entry)
        case nil: return try runHandler(entry, number: number, in: transaction)
        }
    }

    /// The record of the same key, from an earlier commit or earlier in this one.
    private mutating func earlier(
        _ entry: SettlementEntry,
        number: Int,
        in transaction: borrowing WriteTransaction
    ) throws -> JournalLayout.Record? {
        while nextCandidate < candidates.count, candidates[nextCandidate].entry < number { nextCandidate += 1 }
        #if BrokenVariants
            if BrokenVariant.keysIgnored.isOn { return nil }
            if BrokenVariant.fingerprintBelieved.isOn, nextCandidate < candidates.count,
                candidates[nextCandidate].entry == number
            {
                return JournalLayout.Record(outcome: .processed, partition: 0, payloadDigest: 0, offset: 0)
            }
        #endif
        var at = nextCandidate
        while at < candidates.count, candidates[at].entry == number {
            let sequence = candidates[at].sequence
            at += 1
            let record = try entry.batch.withKey(at: Int(entry.index)) { key in
                sequence == UInt32(truncatingIfNeeded: self.sequence)
                    ? builder.pointee.record(of: key, fingerprint: entry.fingerprint)
                    : try store.journal.record(of: key, fingerprint: entry.fingerprint, at: sequence, in: transaction)
            }
            if let record { return record }
        }
        return nil
    }

    // A digest of 0 is none: the first one was recorded when nobody asked for it.
    private func isConflict(_ entry: SettlementEntry, with first: JournalLayout.Record) -> Bool {
        handler.conflicts != .ignore && first.payloadDigest != 0 && first.payloadDigest != payloadDigest(entry)
    }

    private mutating func settleDuplicate(
        _ entry: SettlementEntry,
        of first: JournalLayout.Record,
        number: Int,
        in transaction: borrowing WriteTransaction
    ) throws -> SettlementOutcome {
        if isConflict(entry, with: first) {
            report.conflicts.append(number)
            store.totals.conflicts += 1
            if handler.conflicts == .deadLetter {
                _ = try store.append(entry, reason: .conflict, error: PayloadConflictError(), in: transaction)
                store.totals.deadLettered += 1
                markDone(entry)
                return .duplicate
            }
        }
        if let letter = first.deadLetter { try store.attach(entry.message, to: letter, in: transaction) }
        store.totals.duplicates += 1
        markDone(entry)
        return .duplicate
    }

    private mutating func runHandler(
        _ entry: SettlementEntry,
        number: Int,
        in transaction: borrowing WriteTransaction
    ) throws -> SettlementOutcome {
        scope.begin(number)
        do {
            try handler.run(entry, in: LedgerTransaction(transaction, scope: scope))
        } catch let error as LMDBError where !error.isOfOneRow {
            // The transaction itself is in doubt, not the message.
            throw error
        } catch let error as CorruptionError {
            // The state is, whatever the message.
            throw error
        } catch {
            noteDuration(number)
            #if BrokenVariants
                if BrokenVariant.recordBeforeEffect.isOn { record(entry, .processed) }
                if BrokenVariant.failureNotUndone.isOn { return try settleFailure(entry, error, in: transaction) }
            #endif
            try scope.undoMessage(in: transaction)
            return try settleFailure(entry, error, in: transaction)
        }
        noteDuration(number)
        record(entry, .processed)
        store.totals.processed += 1
        markDone(entry)
        return .processed
    }

    private mutating func noteDuration(_ number: Int) {
        let now = store.time.monotonic()
        if now - clock > handler.slowAfter { report.slow.append((number, now - clock)) }
        clock = now
    }

    private mutating func settleFailure(
        _ entry: SettlementEntry,
        _ error: any Error,
        in transaction: borrowing WriteTransaction
    ) throws -> SettlementOutcome {
        switch handler.decide(error, for: entry) {
        case .deadLetter: return try giveUp(entry, .handler, error, in: transaction)
        case .discard: return discard(entry)
        case .retry:
            entry.batch.lease.blockedLanes.insert(handler.lane(of: entry))
            return .failed(error)
        case .stop:
            entry.batch.lease.blockedLanes.insert(handler.lane(of: entry))
            return .stopped(error)
        }
    }

    private mutating func giveUp(
        _ entry: SettlementEntry,
        _ reason: DeadLetter.Reason,
        _ error: any Error,
        in transaction: borrowing WriteTransaction
    ) throws -> SettlementOutcome {
        #if BrokenVariants
            if BrokenVariant.noDeadLetter.isOn {
                markDone(entry)
                return .deadLettered
            }
        #endif
        let id = try store.append(entry, reason: reason, error: error, in: transaction)
        record(entry, .deadLettered, deadLetter: id)
        store.totals.deadLettered += 1
        markDone(entry)
        return .deadLettered
    }

    private mutating func discard(_ entry: SettlementEntry) -> SettlementOutcome {
        record(entry, .discarded)
        store.totals.discarded += 1
        markDone(entry)
        return .discarded
    }
}

extension LMDBError {
    /// Whether only the row is at fault that was asked for, and nothing was changed: a key of no bytes or of too many,
    /// a value of another type.
    fileprivate var isOfOneRow: Bool { code == .keyEmpty || code == .keyTooLarge || code == .undecodable }
}
