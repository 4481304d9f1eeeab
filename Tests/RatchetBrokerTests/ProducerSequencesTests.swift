import Testing

@testable import RatchetBroker

@Suite struct ProducerSequencesTests {
    private func stamp(_ first: Int32, _ last: Int32, epoch: Int32 = 0, producer: Int64 = 7) -> ProducerStamp {
        ProducerStamp(producer: producer, epoch: epoch, sequences: first...last)
    }

    @Test("A batch that comes again is answered with the offset that it has")
    func repeats() {
        var sequences = ProducerSequences()
        for number in 0..<7 as Range<Int32> {
            let stamp = stamp(number * 10, number * 10 + 9)
            #expect(sequences.verdict(on: stamp) == .append)
            sequences.record(stamp, at: 1000 + Int64(number) * 100, now: 1)
        }
        for number in 2..<7 as Range<Int32> {
            let verdict = sequences.verdict(on: stamp(number * 10, number * 10 + 9))
            #expect(verdict == .isRepeat(offset: 1000 + Int64(number) * 100))
        }
        // Five are remembered; of older ones it is known only that they are there.
        #expect(sequences.verdict(on: stamp(10, 19)) == .isRepeat(offset: nil))
        #expect(sequences.entries[7]?.batches.count == 5)
    }

    @Test("A batch with others missing before it is refused")
    func gaps() {
        var sequences = ProducerSequences()
        #expect(sequences.verdict(on: stamp(5, 9)) == .isGap(expected: 0))
        sequences.record(stamp(0, 4), at: 0, now: 1)
        #expect(sequences.verdict(on: stamp(6, 9)) == .isGap(expected: 5))
        #expect(sequences.verdict(on: stamp(3, 9)) == .isGap(expected: 5))
        #expect(sequences.verdict(on: stamp(5, 9)) == .append)
    }

    @Test("A later epoch begins at 0 and fences the ones before it, and no other producer")
    func epochs() {
        var sequences = ProducerSequences()
        sequences.record(stamp(0, 4, epoch: 3), at: 0, now: 1)
        #expect(sequences.verdict(on: stamp(5, 5, epoch: 4)) == .isGap(expected: 0))
        #expect(sequences.verdict(on: stamp(0, 0, epoch: 4)) == .append)
        sequences.record(stamp(0, 0, epoch: 4), at: 5, now: 1)
        #expect(sequences.verdict(on: stamp(5, 5, epoch: 3)) == .isFenced(by: 4))
        #expect(sequences.verdict(on: stamp(0, 4, epoch: 3)) == .isFenced(by: 4))
        #expect(sequences.verdict(on: stamp(0, 4, epoch: 3, producer: 8)) == .append)
        #expect(sequences.entries[7]?.batches == [.init(sequences: 0...0, offset: 5)])
    }

    @Test("A producer expires once it was silent for longer than the limit, and by no clock that was set back")
    func expiry() {
        let entry = ProducerSequences.Entry(epoch: 0, lastUse: 10_000, batches: [.init(sequences: 0...0, offset: 0)])
        #expect(!entry.isExpired(now: 15_000, limit: .seconds(5)))
        #expect(entry.isExpired(now: 15_001, limit: .seconds(5)))
        #expect(!entry.isExpired(now: 0, limit: .seconds(5)))
    }

    @Test("Where a log is cut, the batches behind the cut are forgotten")
    func cut() {
        var sequences = ProducerSequences()
        for number in 0..<3 as Range<Int32> { sequences.record(stamp(number, number), at: Int64(number), now: 1) }
        let entry = sequences.entries[7]
        #expect(entry?.cut(at: 2)?.last == 1)
        #expect(entry?.cut(at: 3) == entry)
        #expect(entry?.cut(at: 0) == nil)
    }
}
