/// Why a partition was not resumed.
public struct ResumeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of disagreement.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// The offsets now stand for other messages: topic made anew, log truncated, another cluster.
        public static let offsetsReused = Code(description: "offsets reused")
        /// Retention deleted messages that were never processed.
        public static let retentionPassed = Code(description: "retention passed the position")
        /// An operator has moved the group's offset.
        public static let reset = Code(description: "offset reset")
        /// Another ledger has processed the partition.
        public static let foreignLedger = Code(description: "another ledger's partition")
        /// The ledger is an old copy of the one that processed the partition.
        public static let olderLedger = Code(description: "older copy of the ledger")
    }

    /// The kind of disagreement.
    public let code: Code
    /// The partition.
    public let partition: TopicPartition
    /// What was found, and what to do.
    public let detail: String
    /// With ``Code/retentionPassed``, the offsets of the messages that were deleted and never processed.
    public let lost: Range<Int64>?

    package init(_ code: Code, partition: TopicPartition, detail: String, lost: Range<Int64>? = nil) {
        self.code = code
        self.partition = partition
        self.detail = detail
        self.lost = lost
    }

    /// Retention has deleted these messages, which were never processed.
    package init(partition: TopicPartition, lost: Range<Int64>) {
        let detail =
            "retention deleted offsets \(lost.lowerBound) to \(lost.upperBound - 1), which were never processed; "
            + "restore them, or set `outOfRange` to `earliest` or `latest` to go on without them"
        self.init(.retentionPassed, partition: partition, detail: detail, lost: lost)
    }

    /// `partition: code: detail`.
    public var description: String { "\(partition): \(code): \(detail)" }
}
