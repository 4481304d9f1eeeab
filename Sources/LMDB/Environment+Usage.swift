import CLMDB
import Synchronization

extension Environment {
    /// How much room an environment takes.
    public struct Usage: Sendable, Hashable {
        /// The address space reserved, in bytes.
        public let mapped: Int
        /// The file up to its last page, in bytes.
        public let file: Int
        /// The part of the file that is free to be used again, in bytes; some of it only once older reads have ended.
        public let free: Int
        /// The quota, in bytes.
        public let quota: Int
        /// How many reader slots have been in use at a time, over all processes, since the first of them opened the
        /// environment.
        public let readers: Int
    }

    /// How much room the environment takes, as of the last commit. Reads the list of free pages.
    public var usage: Usage {
        get throws {
            try enter("measure")
            defer { leave() }
            clearStaleReaders()
            let info = information
            return try Usage(
                mapped: info.me_mapsize,
                file: fileSize,
                free: freeSize(),
                quota: quota.load(ordering: .relaxed),
                readers: Int(info.me_numreaders)
            )
        }
    }

    /// Sets the quota, from the next piece on.
    ///
    /// - Parameter bytes: The bytes of pages in use beyond which a ``WriterThread`` rejects pieces. May be below what
    ///   is in use.
    public func setQuota(_ bytes: Int) { quota.store(bytes, ordering: .relaxed) }

    private var information: MDB_envinfo {
        var info = MDB_envinfo()
        mdb_env_info(handle, &info)
        return info
    }

    private var pageSize: Int {
        var statistics = MDB_stat()
        mdb_env_stat(handle, &statistics)
        return Int(statistics.ms_psize)
    }

    /// The bytes up to the last page that a commit used.
    var fileSize: Int { (information.me_last_pgno + 1) * pageSize }

    /// The bytes of all pages on the free list.
    func freeSize() throws(LMDBError) -> Int {
        let transaction = try beginRead("measure")
        defer { mdb_txn_abort(transaction) }

        // The free list is LMDB's table 0: a row for each transaction that freed pages, their count first.
        var opened: OpaquePointer?
        var number = mdb_cursor_open(transaction, 0, &opened)
        guard number == 0, let cursor = opened else { throw failure(number, "measure") }
        defer { mdb_cursor_close(cursor) }
        var pages = 0
        var key = MDB_val()
        var value = MDB_val()
        number = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
        while number == 0 {
            pages += UnsafeRawBufferPointer(value).loadUnaligned(as: Int.self)
            number = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        guard number == MDB_NOTFOUND else { throw failure(number, "measure") }
        return pages * pageSize
    }
}

/// Decides for one group of pieces which of them the quota lets in.
struct QuotaCheck {
    private let environment: Environment
    private let quota: Int
    private let file: Int
    /// The free list is summed once, and only when the file itself has no room left.
    private var free: Int?
    /// What the pieces before are expected to write.
    private var admitted = 0

    init(_ environment: Environment) {
        self.environment = environment
        quota = environment.quota.load(ordering: .relaxed)
        file = environment.fileSize
    }

    mutating func admit(byteCount: Int, reclaims: Bool) throws(LMDBError) {
        let wanted = admitted + byteCount
        if !reclaims && file + wanted > quota {
            let free = if let known = self.free { known } else { try measureFree() }
            self.free = free
            guard file - free + wanted <= quota else {
                let detail = """
                    \(byteCount) bytes more than the \(file - free + admitted) in use would pass the quota of \
                    \(quota): delete, or raise the quota
                    """
                throw LMDBError(.quotaExceeded, operation: "write", path: environment.path, detail: detail)
            }
        }
        admitted = wanted
    }

    private func measureFree() throws(LMDBError) -> Int {
        // What keeps pages from being used again may be a process that died.
        environment.clearStaleReaders()
        return try environment.freeSize()
    }
}
