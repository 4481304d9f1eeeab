import Seeds
import Testing

@testable import Ratchet

@Suite("Offset tracker")
struct OffsetTrackerTests {
    /// A log with holes: each message covers the offsets from the end of the one before.
    private static func log(_ random: inout SeededRandom, from start: Int64) -> [Range<Int64>] {
        var end = start
        return (0..<random.below(60) + 1).map { _ in
            let covered = end..<end + Int64(random.below(4)) + 1
            end = covered.upperBound
            return covered
        }
    }

    @Test("The watermark is the end of the prefix that is done, whatever the order", arguments: Seed.some(60))
    func watermarkIsTheDonePrefix(seed: Seed) {
        var random = seed.random
        let start = Int64(random.below(1000))
        let log = Self.log(&random, from: start)
        var tracker = OffsetTracker(watermark: start)
        var done: Set<Int> = []
        for _ in 0..<log.count * 3 {
            let number = random.below(log.count)
            tracker.settle(log[number], digest: UInt64(number) + 1)
            done.insert(number)
            let prefix = log.indices.prefix { done.contains($0) }.count
            #expect(tracker.watermark == (prefix == 0 ? start : log[prefix - 1].upperBound))
            #expect(tracker.lastDigest == (prefix == 0 ? nil : UInt64(prefix)))
            for (number, covered) in log.enumerated() {
                #expect(tracker.isDone(covered.upperBound - 1) == done.contains(number))
            }
        }
    }

    @Test("Runs stay apart, in order and above the watermark", arguments: Seed.some(40))
    func runsStayApart(seed: Seed) {
        var random = seed.random
        let log = Self.log(&random, from: 0)
        var tracker = OffsetTracker(watermark: 0)
        for number in log.indices.shuffled(using: &random) {
            tracker.settle(log[number], digest: UInt64(number))
            var previous = tracker.watermark
            for run in tracker.runs {
                #expect(run.start > previous)
                #expect(run.end > run.start)
                #expect(log[Int(run.digest)].upperBound == run.end)
                previous = run.end
            }
        }
        #expect(tracker.runs.isEmpty)
        #expect(tracker.watermark == log.last?.upperBound)
    }

    @Test("Settling again changes nothing", arguments: Seed.some(50))
    func settlingAgainChangesNothing(seed: Seed) {
        var random = seed.random
        let log = Self.log(&random, from: 5)
        var tracker = OffsetTracker(watermark: 5)
        for number in log.indices.shuffled(using: &random) {
            tracker.settle(log[number], digest: UInt64(number))
            let once = tracker
            tracker.settle(log[number], digest: UInt64(number))
            #expect(tracker == once)
        }
    }

    @Test("Nothing of an empty partition is done")
    func nothingIsDoneAtFirst() {
        let tracker = OffsetTracker(watermark: 7)
        #expect(tracker.isDone(6))
        #expect(!tracker.isDone(7))
        #expect(tracker.lastDigest == nil)
    }
}
