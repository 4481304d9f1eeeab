/// Why a pipeline ended.
public struct PipelineError: Error, Sendable, CustomStringConvertible {
    /// The kind of end.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// A setting is out of its bounds.
        public static let invalidConfiguration = Code(description: "invalid configuration")
        /// A handler's error said to stop.
        public static let stopped = Code(description: "stopped by a handler's error")
        /// The ledger could not be written or read.
        public static let ledger = Code(description: "ledger")
        /// The source is a queue, and the pipeline has no idempotency keys.
        public static let keysRequired = Code(description: "idempotency keys required")
        /// The pipeline is running already.
        public static let running = Code(description: "already running")
    }

    /// The kind of end.
    public let code: Code
    /// What happened, where, and what to do.
    public let detail: String
    /// The error behind it.
    public let underlying: (any Error)?

    package init(_ code: Code, _ detail: String, underlying: (any Error)? = nil) {
        self.code = code
        self.detail = detail
        self.underlying = underlying
    }

    /// `code: detail`.
    public var description: String { "\(code): \(detail)" }
}
