import Testing

@testable import Ratchet

@Suite("Resume decision: the ledger decides, the broker follows")
struct ResumeDecisionTests {
    private static let own = String(repeating: "a", count: 32)
    private static let foreign = String(repeating: "b", count: 32)

    private static func committed(_ offset: Int64, by ledger: String?) -> CommittedOffset {
        let metadata = ledger.map { CommitMetadata(ledger: $0, epoch: String(repeating: "0", count: 16)).description }
        return CommittedOffset(offset: offset, metadata: metadata ?? "")
    }

    private static func decide(
        _ committed: CommittedOffset?,
        ledger: OffsetTracker?,
        log: Range<Int64> = 0..<100,
        policy: ResumePolicy = ResumePolicy(),
        evidence: ResumeDecision.Evidence = .unread
    ) -> ResumeDecision {
        let assignment = Assignment(
            partition: TopicPartition("orders", 0),
            topicID: nil,
            generation: 1,
            committed: committed,
            log: log
        )
        return ResumeDecision.decide(
            assignment: assignment,
            ledger: ledger,
            ledgerID: own,
            policy: policy,
            evidence: evidence
        )
    }

    private static func code(_ decision: ResumeDecision) -> ResumeError.Code? {
        if case .refuse(let code, _) = decision { return code }
        if case .overtaken = decision { return .retentionPassed }
        return nil
    }

    private static func tracker(_ watermark: Int64, digest: UInt64? = 7) -> OffsetTracker {
        OffsetTracker(watermark: watermark, lastDigest: digest, runs: [])
    }

    @Test("A partition that nobody knows begins where the policy says")
    func unknownPartition() {
        #expect(Self.decide(nil, ledger: nil, log: 10..<100) == .start(at: 10))
        #expect(Self.decide(nil, ledger: nil, log: 10..<100, policy: .init(first: .latest)) == .start(at: 100))
    }

    @Test("A partition that only the group knows begins at the group's offset, if the log holds it")
    func onlyTheGroupKnows() {
        #expect(Self.decide(Self.committed(40, by: nil), ledger: nil, log: 10..<100) == .start(at: 40))
        #expect(Self.decide(Self.committed(10, by: nil), ledger: nil, log: 10..<100) == .start(at: 10))
        #expect(Self.decide(Self.committed(100, by: nil), ledger: nil, log: 10..<100) == .start(at: 100))
        #expect(Self.code(Self.decide(Self.committed(101, by: nil), ledger: nil, log: 10..<100)) == .offsetsReused)
        #expect(Self.decide(Self.committed(9, by: nil), ledger: nil, log: 10..<100) == .overtaken(9..<10))
    }

    @Test("Where retention was faster the policy decides, and what is lost is said", arguments: [true, false])
    func overtaken(isInLedger: Bool) {
        func decide(_ policy: ResumePolicy) -> ResumeDecision {
            let committed = isInLedger ? nil : Self.committed(4, by: nil)
            return Self.decide(committed, ledger: isInLedger ? Self.tracker(4) : nil, log: 10..<100, policy: policy)
        }
        #expect(decide(.init()) == .overtaken(4..<10))
        #expect(decide(.init(outOfRange: .earliest)) == .skip(to: 10, lost: 4..<10, restart: false))
        #expect(decide(.init(outOfRange: .latest)) == .skip(to: 100, lost: 4..<100, restart: false))
        let ahead = Self.decide(nil, ledger: Self.tracker(101), policy: .init(outOfRange: .earliest))
        #expect(Self.code(ahead) == .offsetsReused, "an offset beyond the end was not lost to retention")
    }

    @Test("An operator's reset to an offset that is gone is dealt with likewise, and still forgets the position")
    func resetToGone() {
        let committed = Self.committed(4, by: nil)
        let policy = ResumePolicy(reset: .reprocess, outOfRange: .earliest)
        let decision = Self.decide(committed, ledger: Self.tracker(50), log: 10..<100, policy: policy)
        #expect(decision == .skip(to: 10, lost: 4..<10, restart: true))
    }

    @Test("What is done above the skipped offsets stays done")
    func skipping() {
        var tracker = OffsetTracker(watermark: 4)
        tracker.settle(8..<12, digest: 1)
        tracker.settle(20..<22, digest: 2)
        tracker.skip(to: 10)
        #expect(tracker.watermark == 12 && tracker.lastDigest == 1)
        #expect(tracker.isDone(21) && !tracker.isDone(19))
        tracker.skip(to: 5)
        #expect(tracker.watermark == 12)
        tracker.skip(to: 15)
        #expect(tracker.watermark == 15 && tracker.lastDigest == nil)
    }

    @Test("Another ledger's partition is refused, or taken over where it stands")
    func foreignLedger() {
        let committed = Self.committed(40, by: Self.foreign)
        let accept = ResumePolicy(lineage: .accept)
        #expect(Self.code(Self.decide(committed, ledger: nil)) == .foreignLedger)
        #expect(Self.decide(committed, ledger: nil, policy: accept) == .start(at: 40))
        #expect(Self.code(Self.decide(committed, ledger: Self.tracker(30))) == .foreignLedger)
        #expect(Self.decide(committed, ledger: Self.tracker(30), policy: accept) == .restart(at: 40))
    }

    @Test("A foreign commit below our own position is taken over where this ledger stands")
    func foreignLedgerBehind() {
        let decision = Self.decide(
            Self.committed(20, by: Self.foreign),
            ledger: Self.tracker(30),
            policy: ResumePolicy(lineage: .accept)
        )
        #expect(decision == .verify(offset: 29))
    }

    @Test("A commit under our own id that we do not know of means an old copy of the ledger")
    func olderLedger() {
        #expect(Self.code(Self.decide(Self.committed(40, by: Self.own), ledger: nil)) == .olderLedger)
        #expect(Self.code(Self.decide(Self.committed(40, by: Self.own), ledger: Self.tracker(30))) == .olderLedger)
    }

    @Test("The ledger is ahead: resume there once its last record still stands")
    func ledgerAhead() {
        let committed = Self.committed(20, by: Self.own)
        #expect(Self.decide(committed, ledger: Self.tracker(30)) == .verify(offset: 29))
        #expect(Self.decide(committed, ledger: Self.tracker(30), evidence: .digest(7)) == .start(at: 30))
        #expect(Self.decide(committed, ledger: Self.tracker(30), evidence: .gone) == .start(at: 30))
        #expect(Self.code(Self.decide(committed, ledger: Self.tracker(30), evidence: .digest(8))) == .offsetsReused)
        #expect(Self.decide(committed, ledger: Self.tracker(30, digest: nil)) == .start(at: 30))
        #expect(Self.decide(committed, ledger: Self.tracker(30), log: 30..<100) == .start(at: 30))
        #expect(Self.decide(nil, ledger: Self.tracker(30)) == .verify(offset: 29))
        #expect(Self.decide(Self.committed(30, by: Self.own), ledger: Self.tracker(30)) == .verify(offset: 29))
    }

    @Test("A position outside of the log is never started")
    func outsideTheLog() {
        #expect(Self.code(Self.decide(nil, ledger: Self.tracker(101))) == .offsetsReused)
        #expect(Self.code(Self.decide(nil, ledger: Self.tracker(9), log: 10..<100)) == .retentionPassed)
        #expect(Self.decide(nil, ledger: Self.tracker(100), evidence: .digest(7)) == .start(at: 100))
    }

    @Test("An operator's reset stops, resumes or reprocesses, in both directions", arguments: [20, 60] as [Int64])
    func reset(offset: Int64) {
        let committed = Self.committed(offset, by: nil)
        let ledger = Self.tracker(30)
        #expect(Self.code(Self.decide(committed, ledger: ledger)) == .reset)
        #expect(Self.decide(committed, ledger: ledger, policy: .init(reset: .resume)) == .verify(offset: 29))
        #expect(Self.decide(committed, ledger: ledger, policy: .init(reset: .reprocess)) == .restart(at: offset))
    }

    @Test("A reset to the very position of the ledger stops nothing, and forgets what is done behind it if asked to")
    func resetToThePosition() {
        let committed = Self.committed(30, by: nil)
        let ledger = Self.tracker(30)
        #expect(Self.decide(committed, ledger: ledger) == .verify(offset: 29))
        #expect(Self.decide(committed, ledger: ledger, policy: .init(reset: .resume)) == .verify(offset: 29))
        #expect(Self.decide(committed, ledger: ledger, policy: .init(reset: .reprocess)) == .restart(at: 30))
        let own = Self.committed(30, by: Self.own)
        #expect(Self.decide(own, ledger: ledger, policy: .init(reset: .reprocess)) == .verify(offset: 29))
    }

    @Test("Reprocessing begins within the log or not at all")
    func reprocessOutsideTheLog() {
        let policy = ResumePolicy(reset: .reprocess)
        for offset: Int64 in [5, 101] {
            let decision = Self.decide(
                Self.committed(offset, by: nil),
                ledger: Self.tracker(30),
                log: 10..<100,
                policy: policy
            )
            #expect(Self.code(decision) == (offset == 5 ? .retentionPassed : .offsetsReused))
        }
    }
}
