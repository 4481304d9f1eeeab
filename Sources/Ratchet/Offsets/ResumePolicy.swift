/// What to do with a partition whose positions do not agree. The defaults stop rather than guess.
public struct ResumePolicy: Hashable, Sendable {
    /// Where to begin when neither ledger nor group knows the partition.
    public enum First: Hashable, Sendable {
        /// At the first message the log holds.
        case earliest
        /// At the next message to be written.
        case latest
    }

    /// What to do when an operator has moved the group's offset.
    public enum Reset: Hashable, Sendable {
        /// Stop with ``ResumeError/Code/reset``.
        case stop
        /// Go on at the ledger's position and ignore the reset.
        case resume
        /// Begin at the group's offset: forgets the partition's position, and the keys of its messages from there on.
        case reprocess
    }

    /// What to do with a partition that another ledger has processed so far.
    public enum Lineage: Hashable, Sendable {
        /// Stop with ``ResumeError/Code/foreignLedger``: its state and window are elsewhere.
        case refuse
        /// Take it over, where the further of the two stands; a repeat of what the other ledger did is not caught.
        case accept
        /// The same, and before any handler runs the keys of what the other ledger has done are remembered: the input
        /// is read again, up to ``rebuildLimit`` offsets back, and a repeat of any of it is a duplicate here, too. State,
        /// parked messages and outbox stay with the other ledger. Needs a source that can do it
        /// (``RereadableSession``).
        case rebuild
    }

    /// What to do where the group is ahead under the ledger's own id: the ledger is an old copy.
    public enum OlderLedger: Hashable, Sendable {
        /// Stop with ``ResumeError/Code/olderLedger``.
        case refuse
        /// Go on at the group's offset, once the keys before it are remembered, as with ``Lineage/rebuild``. What the
        /// newer copy had in state, parked messages and outbox is lost.
        case rebuild
    }

    /// What to do when retention has deleted what comes next: when a partition is assigned, and when retention overtakes
    /// one that is running, once all that was delivered of it is done.
    public enum OutOfRange: Hashable, Sendable {
        /// Go on at the first message that the log still holds; what is lost is counted, with a warning.
        case earliest
        /// Go on at the next message to be written: gives up what the log still holds, too.
        case latest
        /// Do not start, or stop: ``ResumeError/Code/retentionPassed``, with what is lost in ``ResumeError/lost``.
        case fail
    }

    /// What becomes of the others when a partition must not be started.
    public enum Refusal: Hashable, Sendable {
        /// The partition stays assigned and stands still: an error in the log, a gauge, and
        /// ``Pipeline/stoppedPartitions`` say so. All other partitions go on. It is tried again when it is assigned
        /// anew.
        case stopPartition
        /// The pipeline ends with the ``ResumeError``, once what is running is settled.
        case endPipeline
    }

    /// Where to begin when nothing is known. Default: earliest.
    public var first: First
    /// What to do after an operator's reset. Default: stop.
    public var reset: Reset
    /// What to do with another ledger's partition. Default: refuse.
    public var lineage: Lineage
    /// What to do with an old copy of the ledger. Default: refuse.
    public var olderLedger: OlderLedger
    /// How many offsets before the group's are read again at the most when a window is rebuilt, 0 or more; what was done
    /// before is not known then. No more are read than the window of the ledger counts. All of it is read before the
    /// partition starts, and until then the pipeline takes no event of its source: keep it well within the time that a
    /// group gives such a member, which is the in-process broker's session timeout, and Kafka's rebalance timeout once
    /// the group rebalances. Default: 1,000,000.
    public var rebuildLimit: Int
    /// What to do when retention was faster. An offset beyond the log's end is never taken for that. Default: fail.
    public var outOfRange: OutOfRange
    /// What to do where a partition must not be started. Default: only that one stops.
    public var refusal: Refusal

    /// Whether a window may have to be rebuilt.
    var rebuilds: Bool { lineage == .rebuild || olderLedger == .rebuild }

    /// A policy; every default is the cautious one.
    public init(
        first: First = .earliest,
        reset: Reset = .stop,
        lineage: Lineage = .refuse,
        olderLedger: OlderLedger = .refuse,
        rebuildLimit: Int = 1_000_000,
        outOfRange: OutOfRange = .fail,
        refusal: Refusal = .stopPartition
    ) {
        self.first = first
        self.reset = reset
        self.lineage = lineage
        self.olderLedger = olderLedger
        self.rebuildLimit = rebuildLimit
        self.outOfRange = outOfRange
        self.refusal = refusal
    }
}
