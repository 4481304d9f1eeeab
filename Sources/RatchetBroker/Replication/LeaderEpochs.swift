/// Which leader wrote which part of a partition's log: where the records of each epoch begin.
///
/// Two logs that hold an offset under the same epoch hold the same records up to there: one leader wrote them, in order.
struct LeaderEpochs: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        var epoch: Int32
        /// The offset of the epoch's first record.
        var start: Int64
    }

    /// The most that are remembered. A follower that knows of none but older ones gets the log anew.
    static let maximumEntries = 1024

    /// Rising by epoch, and by start: up to ``maximumEntries``, the last ones.
    private(set) var entries: [Entry] = []

    init(_ entries: [Entry] = []) {
        for entry in entries { begin(entry.epoch, at: entry.start) }
    }

    /// What is written from `start` on is of `epoch`.
    mutating func begin(_ epoch: Int32, at start: Int64) {
        truncate(to: start)
        if entries.last?.epoch != epoch { entries.append(Entry(epoch: epoch, start: start)) }
        if entries.count > Self.maximumEntries { entries.removeFirst() }
    }

    /// The log begins at `start`: forgets the epochs whose records are gone, but for that of the last one before it, by
    /// which a log is known that ends there.
    mutating func removeFront(before start: Int64) {
        entries.removeFirst(entries.dropFirst().prefix { $0.start < start }.count)
    }

    /// The log ends at `end`: forgets epochs without a record.
    mutating func truncate(to end: Int64) {
        while let last = entries.last, last.start >= end { entries.removeLast() }
    }

    /// Takes over what a leader's log says of the offsets from `start` to `end`.
    mutating func append(_ other: LeaderEpochs, from start: Int64, to end: Int64) {
        for entry in other.covering(start, end) { begin(entry.epoch, at: max(entry.start, start)) }
    }

    /// The entries of the offsets from `start` to `end`.
    func covering(_ start: Int64, _ end: Int64) -> [Entry] {
        entries.indices.filter { index in
            let following = index + 1 < entries.count ? entries[index + 1].start : .max
            return entries[index].start < end && following > start
        }.map { entries[$0] }
    }

    /// The epoch of the last record of a log that ends at `end`, nil if that is not known.
    func last(before end: Int64) -> Int32? { entries.last { $0.start < end }?.epoch }

    /// The last epoch that is not after `epoch`, and where its records end in a log that ends at `logEnd`.
    func end(of epoch: Int32, logEnd: Int64) -> (epoch: Int32, end: Int64)? {
        guard let index = entries.lastIndex(where: { $0.epoch <= epoch }) else { return nil }
        return (entries[index].epoch, index + 1 < entries.count ? entries[index + 1].start : logEnd)
    }
}
