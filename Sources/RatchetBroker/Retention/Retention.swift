import Ratchet

/// How long a topic keeps its messages. Whole chunks go, the oldest first; the newest chunk of a partition always
/// stays.
public struct Retention: Sendable, Hashable {
    /// A chunk goes once its newest message is older than this, by the wall clock; nil keeps messages of any age.
    public var time: Duration?
    /// The oldest chunks go while a partition takes more bytes than this; nil for no limit.
    public var bytes: Int?

    /// Keeps messages for `time` and up to `bytes` bytes in each partition, whichever limit is reached first.
    public init(time: Duration? = .seconds(7 * 24 * 3600), bytes: Int? = nil) {
        self.time = time
        self.bytes = bytes
    }

    /// Keeps every message for ever.
    public static let unlimited = Retention(time: nil, bytes: nil)

    /// Whether the oldest chunk of a partition goes: the chunk's newest message is of `timestamp`, the partition takes
    /// `size` bytes.
    func removes(timestamp: Int64, partitionSize size: Int, now: Int64) -> Bool {
        if let bytes, size > bytes { return true }
        guard let time else { return false }
        let (age, overflow) = now.subtractingReportingOverflow(timestamp)
        return !overflow && age > time.milliseconds
    }
}
