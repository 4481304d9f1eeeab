import LMDB
import Ratchet

/// What the broker cannot do. Faults of a message are ``MessageError``s, faults of a session ``SourceError``s.
public struct BrokerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of fault. New kinds may be added: always have a default when switching.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, as ``BrokerError/description`` prints it.
        public let description: String
        /// The topic exists with other settings.
        public static let topicExists = Code(description: "topic exists")
        /// The topic or the partition does not exist.
        public static let unknownTopic = Code(description: "unknown topic")
        /// An argument is out of its bounds.
        public static let invalidArgument = Code(description: "invalid argument")
        /// A limit of ``Broker/Configuration`` is reached.
        public static let limitReached = Code(description: "limit reached")
        /// The directory is in use: by another process, or by another broker of this one.
        public static let inUse = Code(description: "in use")
        /// The directory holds something else than a broker of a format that this version reads.
        public static let notABroker = Code(description: "not a broker")
        /// A member of the group owns the partition.
        public static let groupIsActive = Code(description: "group is active")
        /// The broker was closed.
        public static let closed = Code(description: "closed")
        /// The broker holds as many bytes as it may; nothing was written and it stays usable.
        public static let full = Code(description: "full")
        /// Stored bytes are not what was written.
        public static let corrupted = Code(description: "corrupted")
        /// Fewer replicas than the topic asks for are in sync; nothing was written.
        public static let notEnoughReplicas = Code(description: "not enough replicas")
        /// The partition has no leader just now; nothing was written, or nothing can be read.
        public static let leaderNotAvailable = Code(description: "leader not available")
        /// No answer came in time: it is not known whether it was written.
        public static let timedOut = Code(description: "timed out")
        /// A later producer has the same transactional id: this one can send nothing any more.
        public static let fenced = Code(description: "fenced")
        /// Batches of a producer are missing in front of this one; nothing was written.
        public static let outOfSequence = Code(description: "out of sequence")
        /// A message before it in its partition failed, so it was not sent, or not again.
        public static let predecessorFailed = Code(description: "predecessor failed")
        /// The transaction was committed, aborted, or not committed in time: it takes nothing more.
        public static let transactionOver = Code(description: "transaction over")
        /// The transaction is committed, and will be seen as a whole: but not all of it could be read in time.
        public static let notYetVisible = Code(description: "not yet visible")
        /// The broker cannot do this with these settings.
        public static let unsupported = Code(description: "unsupported")
        /// The storage failed. After a failed write every later call fails, until another process opens the directory.
        public static let storage = Code(description: "storage")
    }

    /// The kind of fault.
    public let code: Code
    /// What was wrong, where, and what to do.
    public let detail: String

    /// An error with its explanation.
    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// Whether it may pass, so that the same send can succeed later: ``Code/notEnoughReplicas``,
    /// ``Code/leaderNotAvailable`` and ``Code/full``, where nothing was written, and ``Code/timedOut``, where that is
    /// not known.
    public var isRetriable: Bool {
        [.notEnoughReplicas, .leaderNotAvailable, .full, .timedOut].contains(code)
    }

    /// Whether an error says for sure that nothing was written.
    static func isUnwritten(_ error: any Error) -> Bool {
        guard let error = error as? BrokerError else { return error is MessageError }
        let codes: [Code] = [.notEnoughReplicas, .leaderNotAvailable, .full, .unknownTopic, .fenced, .limitReached]
        return codes.contains(error.code)
    }

    /// `code: detail`.
    public var description: String { "\(code): \(detail)" }
}

extension BrokerError {
    init(_ error: LMDBError) {
        let code: Code =
            switch error.code {
            case .quotaExceeded, .mapFull: .full
            case .closed: .closed
            case .alreadyOpen: .inUse
            case .invalid, .versionMismatch: .notABroker
            case .corrupted: .corrupted
            default: .storage
            }
        self.init(code, error.description)
    }

    /// Errors as the broker's callers see them: those of the storage as ``BrokerError``s, all others as they are.
    static func wrapping(_ error: any Error) -> any Error {
        (error as? LMDBError).map { BrokerError($0) } ?? error
    }

    static func wrapped<R, E>(_ result: Result<R, E>) -> Result<R, any Error> {
        result.mapError { wrapping($0) }
    }
}
