import RatchetTesting
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Operators who have much processed again very often: each time costs what is done anew, not what was ever done.
@Suite("Reprocessing in histories")
struct ReprocessingTests {
    private static let records = 50_000
    private static let times = 20_000
    /// How often as long as without any reprocessing a check may take; it would be hundreds of times.
    private static let slowdown = 20.0

    /// All records done and committed. Every second one is known only behind the one that follows it.
    private static func done() throws -> Script {
        var script = try Script(maximumEvents: 1_000_000)
        for start in stride(from: 0, to: records, by: 2) {
            for offset in [start + 1, start] {
                let message = script.message("m\(offset)")
                script.add(.appended(message, script.partition, offset: Int64(offset)))
            }
            for offset in [start, start + 1] { script.effect("m\(offset)", at: Int64(offset)) }
        }
        script.commit(Int64(records))
        return script
    }

    /// A report, and the seconds of this thread alone that it took: other tests run beside it.
    private static func check(_ script: Script) -> (report: HistoryReport, seconds: Double) {
        let start = threadSeconds
        let report = script.check()
        return (report, threadSeconds - start)
    }

    private static var threadSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test("Twenty thousand times of the last records alone cost what they have done anew")
    func lastRecords() throws {
        var script = try Self.done()
        let before = Self.check(script)
        for time in 0..<Self.times {
            let first = Self.records - 1 - time % 3
            script.add(.reprocess(script.partition, from: Int64(first)))
            for offset in first..<Self.records { script.effect("m\(offset)", at: Int64(offset)) }
            script.commit(Int64(Self.records))
        }
        let (report, seconds) = Self.check(script)
        #expect(report.isSound, "\(report)")
        #expect(report.counts.withEffect == Self.records)
        #expect(report.counts.reprocessed == (0..<Self.times).reduce(0) { $0 + $1 % 3 + 1 })
        #expect(seconds < Self.slowdown * before.seconds, "\(before.seconds) s without them")
    }

    @Test("Twenty thousand times of everything, each time passed over again, leave nothing done and cost nothing more")
    func everything() throws {
        var script = try Self.done()
        let before = Self.check(script)
        for _ in 0..<Self.times {
            script.add(.reprocess(script.partition, from: 0))
            script.add(.seek(script.partition, to: Int64(Self.records)))
        }
        let (report, seconds) = Self.check(script)
        #expect(report.isSound && report.counts.withEffect == 0, "\(report)")
        #expect(seconds < Self.slowdown * before.seconds, "\(before.seconds) s without them")
        script.add(.reprocess(script.partition, from: 0))
        script.commit(Int64(Self.records))
        let missing = script.check()
        #expect(
            missing.kinds == [.prematureCommit] && missing.count(of: .prematureCommit) == Self.records,
            "\(missing)"
        )
    }
}
