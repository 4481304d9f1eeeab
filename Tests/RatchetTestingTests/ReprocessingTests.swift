import RatchetTesting
import Testing

/// Operators who have much processed again very often: each time costs what is done anew, not what was ever done.
@Suite("Reprocessing in histories", .timeLimit(.minutes(1)))
struct ReprocessingTests {
    private static let records = 100_000
    private static let times = 20_000

    /// All records done and committed. Every second one is known only behind the one that follows it.
    private static func done() throws -> Script {
        var script = try Script(maximumEvents: 1_000_000)
        for offset in stride(from: 0, to: records, by: 2) {
            for offset in [offset + 1, offset] { script.effect("m\(offset)", at: Int64(offset)) }
            for offset in [offset + 1, offset] { script.deliver("m\(offset)", at: Int64(offset)) }
        }
        script.commit(Int64(records))
        return script
    }

    @Test("Twenty thousand times of the last records alone are checked as fast as twenty thousand other events")
    func lastRecords() throws {
        var script = try Self.done()
        for time in 0..<Self.times {
            let offset = Self.records - 1 - time % 3
            script.add(.reprocess(script.partition, from: Int64(offset)))
            for offset in offset..<Self.records { script.effect("m\(offset)", at: Int64(offset)) }
            script.commit(Int64(Self.records))
        }
        let report = script.check()
        #expect(report.isSound, "\(report)")
        #expect(report.counts.withEffect == Self.records)
        #expect(report.counts.reprocessed == (0..<Self.times).reduce(0) { $0 + $1 % 3 + 1 })
    }

    @Test("Twenty thousand times of everything, each time passed over again, leave nothing done")
    func everything() throws {
        var script = try Self.done()
        for _ in 0..<Self.times {
            script.add(.reprocess(script.partition, from: 0))
            script.add(.seek(script.partition, to: Int64(Self.records)))
        }
        var report = script.check()
        #expect(report.isSound && report.counts.withEffect == 0, "\(report)")
        script.add(.reprocess(script.partition, from: 0))
        script.commit(Int64(Self.records))
        report = script.check()
        #expect(report.kinds == [.prematureCommit] && report.count(of: .prematureCommit) == Self.records, "\(report)")
    }
}
