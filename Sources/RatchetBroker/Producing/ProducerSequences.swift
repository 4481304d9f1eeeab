import Ratchet

/// Which of a producer's batches this is, for one partition: its messages have consecutive sequence numbers.
struct ProducerStamp: Equatable, Sendable {
    var producer: Int64
    /// A later one fences all earlier ones.
    var epoch: Int32
    /// Of its messages; an epoch begins at 0.
    var sequences: ClosedRange<Int32>
}

/// What one partition knows of its producers: enough to drop a batch that comes again, to refuse one that comes too
/// early, and to refuse who is fenced.
struct ProducerSequences: Equatable, Sendable {
    /// A batch that the log holds.
    struct Batch: Equatable, Sendable {
        var sequences: ClosedRange<Int32>
        /// The first message's.
        var offset: Int64
    }

    /// What is known of one producer.
    struct Entry: Equatable, Sendable {
        /// The batches that are remembered of each producer: no producer has more on their way at once.
        static let maximumBatches = 5

        var epoch: Int32
        /// When it was last heard of, by ``ProducerTime``.
        var lastUse: Int64
        /// The epoch's last ones, in order: one to ``maximumBatches``.
        var batches: [Batch]

        /// The last sequence number written.
        var last: Int32 { batches[batches.count - 1].sequences.upperBound }
    }

    /// What becomes of a batch.
    enum Verdict: Equatable, Sendable {
        case append
        /// The log holds it: its first offset, nil when that is forgotten.
        case isRepeat(offset: Int64?)
        /// The partition has heard of a later epoch.
        case isFenced(by: Int32)
        /// A batch before it is missing; this sequence number is what would follow.
        case isGap(expected: Int32)
    }

    /// By producer.
    private(set) var entries: [Int64: Entry] = [:]

    /// Takes over what was stored of a producer.
    mutating func remember(_ entry: Entry, of producer: Int64) { entries[producer] = entry }

    /// Decides about a batch, and changes nothing.
    func verdict(on stamp: ProducerStamp) -> Verdict {
        switch order(of: stamp) {
        // What was decided later is there, and so is this.
        case .isFenced where stamp.isDecided: .isRepeat(offset: nil)
        // An unclean election has lost what was before it.
        case .isGap where stamp.isDecided: .append
        case let verdict: verdict
        }
    }

    private func order(of stamp: ProducerStamp) -> Verdict {
        let first = stamp.sequences.lowerBound
        guard let entry = entries[stamp.producer] else { return first == 0 ? .append : .isGap(expected: 0) }
        if stamp.epoch < entry.epoch { return .isFenced(by: entry.epoch) }
        if stamp.epoch > entry.epoch { return first == 0 ? .append : .isGap(expected: 0) }
        if let batch = entry.batches.first(where: { $0.sequences == stamp.sequences }) {
            return .isRepeat(offset: batch.offset)
        }
        if stamp.sequences.upperBound <= entry.last { return .isRepeat(offset: nil) }
        // A producer never cuts its batches anew, so one that begins below the end is none of them.
        return first == entry.last &+ 1 ? .append : .isGap(expected: entry.last &+ 1)
    }

    /// Notes a batch that is written at `offset`: one that was judged here, or by the leader whose chunk this is.
    mutating func record(_ stamp: ProducerStamp, at offset: Int64, now: Int64) {
        let batch = Batch(sequences: stamp.sequences, offset: offset)
        guard var entry = entries[stamp.producer], entry.epoch == stamp.epoch else {
            entries[stamp.producer] = Entry(epoch: stamp.epoch, lastUse: now, batches: [batch])
            return
        }
        entry.lastUse = now
        if entry.batches.count == Entry.maximumBatches { entry.batches.removeFirst() }
        entry.batches.append(batch)
        entries[stamp.producer] = entry
    }
}

extension ProducerSequences.Entry {
    /// Whether the producer was silent for longer than `limit`. A time before its last use expires nobody.
    func isExpired(now: Int64, limit: Duration) -> Bool {
        let (age, overflow) = now.subtractingReportingOverflow(lastUse)
        return !overflow && age > limit.milliseconds
    }

    /// What is left once the log was cut at `end`; nil when nothing is, and the log itself must tell.
    func cut(at end: Int64) -> Self? {
        var entry = self
        entry.batches.removeAll { $0.offset >= end }
        return entry.batches.isEmpty ? nil : entry
    }
}
