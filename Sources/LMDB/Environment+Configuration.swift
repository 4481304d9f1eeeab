extension Environment {
    /// How an environment is opened.
    public struct Configuration: Sendable, Hashable {
        /// When a commit is safe.
        public enum Durability: Sendable, Hashable {
            /// Each commit is flushed, data first, then the page that makes it valid. A commit that returned survives
            /// a crash of the process, of the operating system and of the power.
            case synced
            /// Commits are handed to the operating system and not flushed. A commit survives a crash of the process;
            /// a crash of the operating system may lose commits or leave files that cannot be read.
            case unsynced
        }

        /// What this process may do with the environment.
        public enum Access: Sendable, Hashable {
            /// Read and write; the environment is created when it is absent.
            case readWrite
            /// Look into an environment that another process writes. Nothing is created and nothing can be written.
            case readOnly
        }

        /// The address space reserved for the file, in bytes. It costs no memory; some systems allow some hundred TiB a
        /// process. Default: 1 TiB.
        public var mapSize: Int
        /// The bytes of pages in use beyond which a ``WriterThread`` rejects pieces. Default: 64 GiB.
        public var quota: Int
        /// How many named tables may be open. Default: 128.
        public var maximumTables: Int
        /// How many read transactions may be open at a time, over all processes. What counts is the value at
        /// creation. Default: 126.
        public var maximumReaders: Int
        /// When a commit is safe. Default: ``Durability/synced``.
        public var durability: Durability
        /// What this process may do. Default: ``Access/readWrite``.
        public var access: Access
        /// Whether opening reads all pages first and refuses a file in which they are not as LMDB leaves them. It takes
        /// as long as reading the file does, without values of more than half a page. Only for who has the environment
        /// alone, as with an ``OwnerFile``: pages that are being written seem damaged. Default: false.
        public var checksPages = false

        /// The defaults, but for what is given.
        ///
        /// - Parameters:
        ///   - mapSize: The address space reserved for the file, in bytes.
        ///   - quota: The bytes of pages in use beyond which pieces are rejected.
        ///   - maximumTables: How many named tables may be open.
        ///   - maximumReaders: How many read transactions may be open at a time.
        ///   - durability: When a commit is safe.
        ///   - access: What this process may do.
        public init(
            mapSize: Int = 1 << 40,
            quota: Int = 64 << 30,
            maximumTables: Int = 128,
            maximumReaders: Int = 126,
            durability: Durability = .synced,
            access: Access = .readWrite
        ) {
            self.mapSize = mapSize
            self.quota = quota
            self.maximumTables = maximumTables
            self.maximumReaders = maximumReaders
            self.durability = durability
            self.access = access
        }
    }
}
