/// Which offsets of one partition are done: a watermark below which everything is, and a sparse set above it.
///
/// A pure value. A message settles the offsets from the end of the message before it to its own, so that the holes of a
/// log (compaction, transaction markers) never stop the watermark: the done prefix is contiguous in delivery order.
public struct OffsetTracker: Hashable, Sendable {
    /// Done offsets above the watermark: `start..<end`, and the digest of the record at `end - 1`.
    package struct Run: Hashable, Sendable {
        package var start: Int64
        package var end: Int64
        package var digest: UInt64
    }

    /// The offset of the next message to be done: all before it are. What may be committed to the broker once durable.
    public private(set) var watermark: Int64
    /// The digest of the last done record below the watermark, nil if none was settled by this ledger yet.
    public private(set) var lastDigest: UInt64?
    package private(set) var runs: [Run]

    /// A partition of which everything before `watermark` is done.
    public init(watermark: Int64) {
        self.init(watermark: watermark, lastDigest: nil, runs: [])
    }

    package init(watermark: Int64, lastDigest: UInt64?, runs: [Run]) {
        self.watermark = watermark
        self.lastDigest = lastDigest
        self.runs = runs
    }

    /// Whether the message at `offset` is done.
    public func isDone(_ offset: Int64) -> Bool {
        if offset < watermark { return true }
        guard !runs.isEmpty else { return false }
        let at = firstRun(endingAfter: offset)
        return at < runs.count && runs[at].start <= offset
    }

    /// Settles `covered`, whose last offset is the record with that digest. Settling something twice changes nothing.
    public mutating func settle(_ covered: Range<Int64>, digest: UInt64) {
        guard covered.upperBound > watermark else { return }
        if covered.lowerBound <= watermark {
            advance(to: covered.upperBound, digest: digest)
        } else {
            insert(Run(start: covered.lowerBound, end: covered.upperBound, digest: digest))
        }
    }

    /// Takes everything before `offset` for done, as what is there is gone; what is done above it stays so.
    package mutating func skip(to offset: Int64) {
        guard offset > watermark else { return }
        watermark = offset
        lastDigest = nil
        let passed = runs.prefix { $0.start <= offset }
        for run in passed where run.end > watermark {
            watermark = run.end
            lastDigest = run.digest
        }
        runs.removeFirst(passed.count)
    }

    private mutating func advance(to end: Int64, digest: UInt64) {
        watermark = end
        lastDigest = digest
        var absorbed = 0
        while absorbed < runs.count, runs[absorbed].start <= watermark {
            if runs[absorbed].end > watermark {
                watermark = runs[absorbed].end
                lastDigest = runs[absorbed].digest
            }
            absorbed += 1
        }
        runs.removeFirst(absorbed)
    }

    private mutating func insert(_ run: Run) {
        // The runs that touch the new one lie side by side: from the first that ends at its start or later …
        let first = firstRun(endingAfter: run.start - 1)
        var merged = run
        var last = first
        while last < runs.count, runs[last].start <= run.end {
            merged.start = min(merged.start, runs[last].start)
            if runs[last].end >= merged.end {
                merged.end = runs[last].end
                merged.digest = runs[last].digest
            }
            last += 1
        }
        if last == first + 1 {
            runs[first] = merged
        } else {
            runs.replaceSubrange(first..<last, with: CollectionOfOne(merged))
        }
    }

    private func firstRun(endingAfter offset: Int64) -> Int {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].end > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
