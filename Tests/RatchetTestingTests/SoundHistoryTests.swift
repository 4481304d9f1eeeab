import RatchetTesting
import Seeds
import Testing

@Suite("Sound histories")
struct SoundHistoryTests {
    @Test("A group on a log, through crashes, rebalances and retries: no finding", arguments: Seed.some(200))
    func log(seed: Seed) throws {
        let report = HistoryChecker.check(try SoundLog.history(seed))
        #expect(report.isSound && report.isDrained, "\(report)")
        #expect(report.counts.okWithNeither == 0 && report.counts.okWithEffect > 0)
    }

    @Test("Consumers of a queue, through closed channels and retries: no finding", arguments: Seed.some(200))
    func queue(seed: Seed) throws {
        let report = HistoryChecker.check(try SoundQueue.history(seed))
        #expect(report.isSound && report.isDrained, "\(report)")
        #expect(report.counts.okWithNeither == 0 && report.counts.okWithEffect > 0)
    }

    @Test("Every prefix of a sound history is sound", arguments: Seed.some(10))
    func prefixes(seed: Seed) throws {
        for history in [try SoundLog.history(seed, steps: 80), try SoundQueue.history(seed, steps: 80)] {
            for count in history.events.indices {
                let report = HistoryChecker.check(history.replacingEvents(Array(history.events[..<count])))
                #expect(report.isSound, "the first \(count) events: \(report)")
            }
        }
    }
}
