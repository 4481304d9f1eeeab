/// What went wrong in an environment: which operation, where, and what to do about it.
///
/// Errors are compared by ``code``; the rest is for people.
public struct LMDBError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of an error. New kinds may be added: always have a default when switching.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The kind's name, as in the static member.
        public let description: String

        init(_ description: String) { self.description = description }
    }

    /// The kind of error.
    public let code: Code
    /// What was being done.
    public let operation: String
    /// The environment's folder, or the file concerned. Empty where no environment is involved, as in decoding.
    public let path: String
    /// What was wrong and what to do about it.
    public let detail: String

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - code: The kind of error.
    ///   - operation: What was being done.
    ///   - path: The environment's folder, or empty.
    ///   - detail: What was wrong and what to do about it, on one line.
    public init(_ code: Code, operation: String, path: String, detail: String) {
        self.code = code
        self.operation = operation
        self.path = path
        self.detail = detail
    }

    /// One line: operation, place, cause, remedy.
    public var description: String {
        path.isEmpty ? "\(operation): \(detail)" : "\(operation) in \(path): \(detail)"
    }
}

extension LMDBError.Code {
    /// The memory map has no room left. Nothing was written; the environment stays usable.
    public static let mapFull = Self("mapFull")
    /// The piece would take the environment beyond its quota. It did not run.
    public static let quotaExceeded = Self("quotaExceeded")
    /// An earlier write or sync failed, so that nothing this process sees of the files can be trusted.
    public static let poisoned = Self("poisoned")
    /// The files hold something that LMDB never writes.
    public static let corrupted = Self("corrupted")
    /// The files were written by another version of LMDB's format.
    public static let versionMismatch = Self("versionMismatch")
    /// The files are no environment, or a call's arguments do not fit the table.
    public static let invalid = Self("invalid")
    /// The file system has no room left.
    public static let diskFull = Self("diskFull")
    /// The operating system failed a read, write or sync.
    public static let io = Self("io")
    /// This process has the environment open already.
    public static let alreadyOpen = Self("alreadyOpen")
    /// The environment was opened before a fork and is used by the child.
    public static let inheritedByFork = Self("inheritedByFork")
    /// All reader slots are taken.
    public static let readersFull = Self("readersFull")
    /// There are more tables than the configuration allows for.
    public static let tablesFull = Self("tablesFull")
    /// A key is longer than 511 bytes.
    public static let keyTooLarge = Self("keyTooLarge")
    /// A key is empty, which LMDB does not allow.
    public static let keyEmpty = Self("keyEmpty")
    /// An appended key is not above the table's last one.
    public static let keyOutOfOrder = Self("keyOutOfOrder")
    /// A file, folder or table is not there.
    public static let absent = Self("absent")
    /// The operating system denies the access, or the environment was opened for reading only.
    public static let permissionDenied = Self("permissionDenied")
    /// The environment or the writer thread was closed.
    public static let closed = Self("closed")
    /// As many pieces wait for the writer thread as its limits allow.
    public static let queueFull = Self("queueFull")
    /// Memory, address space or file descriptors are used up.
    public static let outOfMemory = Self("outOfMemory")
    /// One transaction changed more pages than LMDB can track.
    public static let transactionFull = Self("transactionFull")
    /// The transaction failed before, or a nested one is open, so that it cannot go on.
    public static let badTransaction = Self("badTransaction")
    /// Stored bytes are no value of the type asked for.
    public static let undecodable = Self("undecodable")
}
