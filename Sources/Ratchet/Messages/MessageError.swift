/// What is wrong with a message that a producer hands over or a source delivers.
public struct MessageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of fault.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name, as ``MessageError/description`` prints it.
        public let description: String
        /// The message is larger than the limit of the topic or batch.
        public static let tooLarge = Code(description: "message too large")
        /// The key is present and has no bytes; a message without a key has `nil`.
        public static let emptyKey = Code(description: "empty key")
        /// The topic keeps the newest message of each key, and the message has none.
        public static let missingKey = Code(description: "missing key")
        /// A header's name is empty or longer than 65,535 bytes.
        public static let invalidHeader = Code(description: "invalid header")
        /// The topic does not exist.
        public static let unknownTopic = Code(description: "unknown topic")
        /// The topic has no such partition.
        public static let unknownPartition = Code(description: "unknown partition")
        /// The bytes are not a message: a length does not fit.
        public static let malformed = Code(description: "malformed message")
    }

    /// The kind of fault.
    public let code: Code
    /// What was found, where, and what to do.
    public let detail: String

    /// An error with its explanation.
    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// `code: detail`.
    public var description: String { "\(code): \(detail)" }
}
