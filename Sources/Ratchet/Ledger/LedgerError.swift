/// What is wrong with a ledger.
public struct LedgerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of fault.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// What is at the path is not a ledger.
        public static let notALedger = Code(description: "not a ledger")
        /// The ledger's format is of a version that this library does not know.
        public static let unknownVersion = Code(description: "unknown ledger version")
        /// Another process, or another part of this one, has the ledger open.
        public static let inUse = Code(description: "ledger in use")
        /// The ledger belongs to another consumer group.
        public static let otherGroup = Code(description: "another group's ledger")
        /// A write failed: nothing is believed any more until the process starts anew.
        public static let failed = Code(description: "ledger failed")
        /// A newer generation has the partition: this one moves no position any more.
        public static let fenced = Code(description: "fenced")
        /// The deduplication window holds as many keys as it may, and is to forget none before its time.
        public static let windowFull = Code(description: "deduplication window full")
        /// An argument is out of its bounds.
        public static let invalidArgument = Code(description: "invalid argument")
    }

    /// The kind of fault.
    public let code: Code
    /// What was wrong, where, and what to do.
    public let detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// `code: detail`.
    public var description: String { "\(code): \(detail)" }
}
