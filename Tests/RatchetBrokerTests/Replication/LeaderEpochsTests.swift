import Testing

@testable import RatchetBroker

@Suite("Leader epochs")
struct LeaderEpochsTests {
    private static let epochs = LeaderEpochs([
        .init(epoch: 1, start: 0), .init(epoch: 3, start: 10), .init(epoch: 4, start: 25),
    ])

    @Test("An epoch ends where the next begins, the last one with the log")
    func ends() throws {
        let first = try #require(Self.epochs.end(of: 1, logEnd: 30))
        #expect(first == (1, 10))
        let last = try #require(Self.epochs.end(of: 4, logEnd: 30))
        #expect(last == (4, 30))
    }

    @Test("Of an epoch without records, the one before it counts; before the first there is none")
    func gaps() throws {
        let before = try #require(Self.epochs.end(of: 2, logEnd: 30))
        #expect(before == (1, 10))
        #expect(Self.epochs.end(of: 0, logEnd: 30) == nil)
    }

    @Test("A log that is cut forgets the epochs that have no record left")
    func truncates() {
        var epochs = Self.epochs
        epochs.truncate(to: 25)
        #expect(epochs.entries.map(\.epoch) == [1, 3])
        #expect(epochs.last(before: 25) == 3)
        epochs.truncate(to: 0)
        #expect(epochs.entries.isEmpty)
    }

    @Test("A log whose front is gone forgets the epochs of that, but for the one of the last record before its start")
    func front() {
        let left: [(start: Int64, epochs: [Int32])] = [
            (0, [1, 3, 4]), (10, [1, 3, 4]), (11, [3, 4]), (25, [3, 4]), (26, [4]), (99, [4]),
        ]
        for (start, expected) in left {
            var epochs = Self.epochs
            epochs.removeFront(before: start)
            #expect(epochs.entries.map(\.epoch) == expected, "from \(start) on")
            #expect(epochs.last(before: start) == Self.epochs.last(before: start))
            #expect(epochs.covering(start, 100) == Self.epochs.covering(start, 100))
        }
    }

    @Test("However often the leader changes, no more is remembered than is bounded, and the last of it")
    func bounded() {
        var epochs = LeaderEpochs()
        for epoch in Int32(0)..<5000 { epochs.begin(epoch, at: Int64(epoch)) }
        #expect(epochs.entries.count == LeaderEpochs.maximumEntries)
        #expect(epochs.entries.last == .init(epoch: 4999, start: 4999))
        #expect(epochs.end(of: 4000, logEnd: 5000).map { $0 == (4000, 4001) } == true)
        #expect(epochs.end(of: 5, logEnd: 5000) == nil)
    }

    @Test("An epoch that begins where another has no record takes its place")
    func replaces() {
        var epochs = Self.epochs
        epochs.begin(7, at: 25)
        #expect(epochs.entries.map(\.epoch) == [1, 3, 7])
    }

    @Test("A copy of a log in pieces has the same epochs")
    func copies() {
        for cut in Int64(0)...30 {
            var copy = LeaderEpochs()
            copy.append(Self.epochs, from: 0, to: cut)
            copy.append(Self.epochs, from: cut, to: 30)
            #expect(copy == Self.epochs, "cut at \(cut)")
        }
    }
}
