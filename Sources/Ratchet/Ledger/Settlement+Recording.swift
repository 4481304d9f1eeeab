import LMDB

// Records and positions.
extension Settlement {
    func payloadDigest(_ entry: SettlementEntry) -> UInt32 {
        UInt32(truncatingIfNeeded: Checksum.xxh64(entry.batch.messages.parts(at: Int(entry.index)).payload))
    }

    mutating func record(_ entry: SettlementEntry, _ outcome: JournalLayout.Outcome, deadLetter: UInt64? = nil) {
        guard entry.batch.isKeyed else { return }
        let lease = entry.batch.lease
        touch(lease)
        let digest = handler.conflicts == .ignore ? 0 : payloadDigest(entry)
        entry.batch.withKey(at: Int(entry.index)) { key in
            builder.pointee.append(
                key: key,
                fingerprint: entry.fingerprint,
                outcome: outcome,
                partition: lease.journalNumber,
                offset: entry.offset,
                payloadDigest: digest,
                deadLetter: deadLetter
            )
        }
    }

    private mutating func touch(_ lease: PartitionLease) {
        guard !lease.position.isTouched else { return }
        lease.position.isTouched = true
        lease.journalNumber = builder.pointee.number(of: lease.partition)
        touched.append(lease)
    }

    func isInRun(_ entry: SettlementEntry) -> Bool {
        guard let run, run.batch.lease.position === entry.batch.lease.position else { return false }
        return run.covered.contains(entry.offset)
    }

    // Messages are nearly always settled in order: their offsets are gathered, and only the last one's digest is
    // needed.
    mutating func markDone(_ entry: SettlementEntry) {
        touch(entry.batch.lease)
        let index = Int(entry.index)
        let covered = entry.batch.messages.coveredOffsets(at: index)
        if run != nil, run!.batch === entry.batch, run!.covered.upperBound == covered.lowerBound {
            run!.covered = run!.covered.lowerBound..<covered.upperBound
            run!.last = index
            return
        }
        endRun()
        run = Run(batch: entry.batch, covered: covered, last: index)
    }

    mutating func endRun() {
        guard let run else { return }
        run.batch.lease.position.tracker.settle(run.covered, digest: run.batch.messages.digest(at: run.last))
        self.run = nil
    }

    /// Writes what belongs to the transaction as a whole.
    mutating func finish(in transaction: borrowing WriteTransaction) throws {
        store.journal.withdraw(unrecorded, sequence: sequence)
        if builder.pointee.count > 0 {
            try store.journal.append(builder.pointee, sequence: sequence, time: store.now, in: transaction)
        }
        for lease in touched {
            lease.position.isTouched = false
            lease.position.isKnown = true
            if lease.position.isStored { try store.write(lease.position, in: transaction) }
            report.watermarks.append((lease, lease.position.tracker.watermark))
            #if BrokenVariants
                if BrokenVariant.commitHighestSeen.isOn, let highest = lease.position.tracker.runs.last?.end {
                    report.watermarks[report.watermarks.count - 1].watermark = highest
                }
            #endif
        }
        report.published = scope.outgoing.count
        try store.append(scope.outgoing, in: transaction)
        // Two out for one in: expiry catches up, and no transaction grows long.
        report.evicted = try store.expire(entries: 2, keys: 2 * builder.pointee.count, in: transaction)
        report.isWindowFull = store.window.overflow == .pause && store.journal.count >= store.window.count
        try store.writeTotalsAndClock(in: transaction)
    }
}
