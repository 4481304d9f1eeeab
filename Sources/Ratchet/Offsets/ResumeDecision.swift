#if BrokenVariants
    import LMDB
#endif

/// Where to start in a partition that was just assigned, or why not to: the ledger decides, the broker follows.
///
/// Pure. Source of the rules: an offset that the ledger knows is believed only where the record it was reached by still
/// stands, since a topic made anew or a truncated log uses the same offsets for other messages.
package enum ResumeDecision: Hashable, Sendable {
    /// Begin at this offset.
    case start(at: Int64)
    /// Re-read the record at `offset` (the ledger's last done one) and ask again with what was found.
    case verify(offset: Int64)
    /// Take the partition's position for nothing known: begin at the broker's, and forget the ledger's.
    case restart(at: Int64)
    /// Begin at this offset though retention has deleted the messages of `lost`, which were never processed; `restart` as
    /// above.
    case skip(to: Int64, lost: Range<Int64>, restart: Bool)
    /// Remember the keys of these offsets, which another ledger has done or a newer copy of this one, and begin behind
    /// them; `restart` as above.
    case rebuild(Range<Int64>, restart: Bool)
    /// Do not start: retention has deleted messages that were never processed.
    case overtaken(Range<Int64>)
    /// Do not start.
    case refuse(ResumeError.Code, String)

    /// What the log says of the ledger's last done record.
    package enum Evidence: Hashable, Sendable {
        case unread
        case gone
        case digest(UInt64)
    }

    package static func decide(
        assignment: Assignment,
        ledger: OffsetTracker?,
        ledgerID: String,
        policy: ResumePolicy,
        evidence: Evidence
    ) -> ResumeDecision {
        let log = assignment.log
        guard let ledger else { return first(assignment, ledgerID: ledgerID, policy: policy) }
        let position = ledger.watermark
        if let committed = assignment.committed, committed.offset != position || isToReprocess(committed, policy),
            let decision = disagreement(committed, position, log: log, ledgerID: ledgerID, policy: policy)
        {
            return decision
        }
        guard position <= log.upperBound else {
            return .refuse(
                .offsetsReused,
                "the ledger's position \(position) is past the log's end \(log.upperBound): topic made anew or log truncated"
            )
        }
        guard position >= log.lowerBound else {
            return overtaken(at: position, log: log, policy, restart: false)
        }
        guard let digest = ledger.lastDigest, position > log.lowerBound else { return .start(at: position) }
        switch evidence {
        case .unread: return .verify(offset: position - 1)
        case .gone: return .start(at: position)
        case .digest(digest): return .start(at: position)
        case .digest:
            return .refuse(
                .offsetsReused,
                "the record before the ledger's position \(position) is not the one that was processed"
            )
        }
    }

    /// Where to go on in a partition that was running, or why not to.
    package static func decide(at gap: OffsetGap, policy: ResumePolicy) -> ResumeDecision {
        guard gap.position < gap.log.lowerBound else {
            return .refuse(
                .offsetsReused,
                "offset \(gap.position) comes next, the log now ends at \(gap.log.upperBound): it was truncated"
            )
        }
        return overtaken(at: gap.position, log: gap.log, policy, restart: false)
    }

    /// What the group's offset asks for where it is not the ledger's; nil to go on at the ledger's.
    private static func disagreement(
        _ committed: CommittedOffset,
        _ position: Int64,
        log: Range<Int64>,
        ledgerID: String,
        policy: ResumePolicy
    ) -> ResumeDecision? {
        if let owner = CommitMetadata(committed.metadata)?.ledger {
            // Ours and older: the ledger was synced, and the commit had not followed yet.
            if owner == ledgerID, committed.offset < position { return nil }
            if owner == ledgerID {
                return olderLedger(committed.offset, knows: "only \(position)", log: log, policy, restart: true)
            }
            switch policy.lineage {
            case .refuse:
                return .refuse(
                    .foreignLedger,
                    "offset \(committed.offset) was committed under ledger \(owner), this one is \(ledgerID)"
                )
            case _ where committed.offset <= position: return nil
            case .accept: return restart(at: committed.offset, log: log, policy)
            case .rebuild: return rebuild(before: committed.offset, log: log, policy, restart: true)
            }
        }
        #if BrokenVariants
            if BrokenVariant.resetIgnored.isOn { return nil }
        #endif
        switch policy.reset {
        case .stop:
            return .refuse(
                .reset,
                "the group's offset is \(committed.offset), the ledger's \(position), and this ledger did not commit it: an operator's reset; choose `resume` (the ledger's) or `reprocess` (the group's)"
            )
        case .resume: return nil
        case .reprocess: return restart(at: committed.offset, log: log, policy)
        }
    }

    /// Whether an operator has set the offset, and all from there on is to be forgotten: also what is done behind the
    /// ledger's position, where that is the very same.
    private static func isToReprocess(_ committed: CommittedOffset, _ policy: ResumePolicy) -> Bool {
        policy.reset == .reprocess && CommitMetadata(committed.metadata) == nil
    }

    private static func restart(at offset: Int64, log: Range<Int64>, _ policy: ResumePolicy) -> ResumeDecision {
        if offset < log.lowerBound { return overtaken(at: offset, log: log, policy, restart: true) }
        return isWithin(log, offset) ? .restart(at: offset) : outside(log, offset)
    }

    /// The group is ahead under the ledger's own id.
    private static func olderLedger(
        _ committed: Int64,
        knows known: String,
        log: Range<Int64>,
        _ policy: ResumePolicy,
        restart: Bool
    ) -> ResumeDecision {
        if policy.olderLedger == .rebuild { return rebuild(before: committed, log: log, policy, restart: restart) }
        return .refuse(
            .olderLedger,
            "the group has committed \(committed) under this ledger's own id, which knows \(known): the ledger was restored from an old copy; "
                + "bring the newer one back, or set `olderLedger` to `rebuild`, which remembers the keys that it lacks but not the state"
        )
    }

    private static func rebuild(
        before offset: Int64,
        log: Range<Int64>,
        _ policy: ResumePolicy,
        restart: Bool
    ) -> ResumeDecision {
        if offset < log.lowerBound { return overtaken(at: offset, log: log, policy, restart: restart) }
        guard isWithin(log, offset) else { return outside(log, offset) }
        // Offsets are not below zero, whatever a broker says.
        let lowest = max(log.lowerBound, 0, offset - Int64(clamping: max(0, policy.rebuildLimit)))
        return .rebuild(min(lowest, offset)..<offset, restart: restart)
    }

    /// What comes next is gone.
    private static func overtaken(
        at position: Int64,
        log: Range<Int64>,
        _ policy: ResumePolicy,
        restart: Bool
    ) -> ResumeDecision {
        switch policy.outOfRange {
        case .fail: .overtaken(position..<log.lowerBound)
        case .earliest: .skip(to: log.lowerBound, lost: position..<log.lowerBound, restart: restart)
        case .latest: .skip(to: log.upperBound, lost: position..<log.upperBound, restart: restart)
        }
    }

    private static func isWithin(_ log: Range<Int64>, _ offset: Int64) -> Bool {
        log.lowerBound <= offset && offset <= log.upperBound
    }

    private static func outside(_ log: Range<Int64>, _ offset: Int64) -> ResumeDecision {
        .refuse(
            .offsetsReused,
            "the group's offset \(offset) is outside the log's \(log.lowerBound)..<\(log.upperBound)"
        )
    }

    private static func first(_ assignment: Assignment, ledgerID: String, policy: ResumePolicy) -> ResumeDecision {
        guard let committed = assignment.committed else {
            return .start(at: policy.first == .earliest ? assignment.log.lowerBound : assignment.log.upperBound)
        }
        if let metadata = CommitMetadata(committed.metadata) {
            if metadata.ledger == ledgerID {
                return olderLedger(committed.offset, knows: "no position", log: assignment.log, policy, restart: false)
            }
            switch policy.lineage {
            case .refuse:
                return .refuse(
                    .foreignLedger,
                    "offset \(committed.offset) was committed under ledger \(metadata.ledger), this one is \(ledgerID): its state and window are not here"
                )
            case .accept: break
            case .rebuild: return rebuild(before: committed.offset, log: assignment.log, policy, restart: false)
            }
        }
        if committed.offset < assignment.log.lowerBound {
            return overtaken(at: committed.offset, log: assignment.log, policy, restart: false)
        }
        guard isWithin(assignment.log, committed.offset) else { return outside(assignment.log, committed.offset) }
        return .start(at: committed.offset)
    }
}
