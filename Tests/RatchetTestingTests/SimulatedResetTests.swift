import Ratchet
import Testing

@testable import RatchetTesting

@Suite("Simulation: what an operator's reset excuses")
struct SimulatedResetTests {
    private static let partition = TopicPartition("orders", 0)
    private let record = SimulatedRecord(SimulatedScheduler(seed: 1))

    /// What a member is told after an operator has set the offset to 5.
    private func assigned(_ generation: Int64) -> Assignment {
        let assignment = Assignment(
            partition: Self.partition,
            topicID: "first",
            generation: generation,
            committed: CommittedOffset(offset: 5, metadata: ""),
            log: 0..<20
        )
        record.told(assignment)
        record.assigned(Self.partition, generation, from: 9, at: record.reserve())
        return assignment
    }

    /// What the history says of the resets so far, and of the repeat of an effect that was there before.
    private func check(_ story: (SimulatedRecord) -> Void) -> (resets: [History.Event.Kind], report: HistoryReport) {
        func effect() {
            record.add { .effect($0.message("m"), try $0.partition(Self.partition), offset: 7, generation: 9) }
        }
        effect()
        story(record)
        effect()
        let history = record.history()
        let resets = history.events.map(\.kind).filter { [.seek, .reprocess].contains($0) }
        return (resets, HistoryChecker.check(history))
    }

    @Test("A ledger that nobody has told to forget has no effect again, where the operator's offset is its own")
    func nobodyForgets() {
        let (resets, report) = check { $0.adopted(assigned(1), at: 5, .resume) }
        #expect(resets == [] && report.kinds == [.duplicateEffect], "\(report)")
    }

    @Test("One that was to forget, by a process that died meanwhile, may have an effect again")
    func mayHaveForgotten() {
        let (resets, report) = check { record in
            record.mayForget(assigned(1))
            record.adopted(assigned(2), at: 5, .resume)
        }
        #expect(resets == [.seek] && report.isSound, "\(report)")
        // Once it was decided what has become of it, nothing more is excused.
        let later = check { $0.adopted(assigned(3), at: 5, .resume) }.report
        #expect(later.count(of: .duplicateEffect) == 2, "\(later)")
    }

    @Test("One that is told to forget has each effect again; nobody is asked in vain")
    func reprocessed() {
        let (resets, report) = check { record in
            record.mayForget(assigned(1))
            record.adopted(assigned(1), at: 5, .reprocess)
        }
        #expect(resets.last == .reprocess && report.isSound, "\(report)")
        record.adopted(assigned(2), at: 9, .stop)
        #expect(record.problems.count == 1)
    }
}
