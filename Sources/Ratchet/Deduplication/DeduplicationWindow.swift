import Logging

/// How long the ledger remembers idempotency keys: bounded by time and by count.
///
/// It must be longer than the longest way back of a message: the broker's retention, a producer's retries, a replay of
/// dead letters.
public struct DeduplicationWindow: Hashable, Sendable {
    /// What happens when ``count`` is reached before ``time`` is up.
    public enum Overflow: Hashable, Sendable {
        /// Forgets the oldest keys and says so, in a warning and in a metric.
        case warn
        /// Takes no further message in until time has let the oldest keys go.
        case pause
    }

    /// How long a key is remembered, in ledger time. Default: 7 days.
    public var time: Duration
    /// How many keys are remembered at the most. Default: 10,000,000, about 200 MB of memory.
    public var count: Int
    /// What happens when they are more. Default: warn.
    public var overflow: Overflow

    /// A window of `time` (more than zero) and `count` (1 or more) keys.
    public init(time: Duration = .seconds(7 * 86_400), count: Int = 10_000_000, overflow: Overflow = .warn) {
        self.time = time
        self.count = count
        self.overflow = overflow
    }
}

extension Logger {
    /// Says that keys were forgotten before their time, if any were.
    func warn(evicted count: Int) {
        guard count > 0 else { return }
        warning(
            "the deduplication window is full: keys were forgotten before their time; raise its count or shorten its time",
            metadata: [LogKeys.count: "\(count)"]
        )
    }
}
