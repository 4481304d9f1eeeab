import CLMDB
import Synchronization

extension Environment {
    /// Runs a closure over one unchanging view of the environment, on the calling thread.
    ///
    /// Keep it short: as long as it runs, no page that was in use when it began can be used again, and the file grows.
    ///
    /// - Parameter body: Reads. Pointers into the environment must not leave it.
    /// - Returns: What the closure returns.
    /// - Throws: ``LMDBError``, or what the closure throws.
    public func read<R>(_ body: (borrowing ReadTransaction) throws -> R) throws -> R {
        try enter("read")
        defer { leave() }
        if configuration.access == .readOnly { try loadTables() }
        let transaction = try beginRead("begin a read")
        defer { mdb_txn_abort(transaction) }
        return try body(ReadTransaction(raw: RawTransaction(handle: transaction, environment: self, state: nil)))
    }

    /// Runs a closure in a write transaction and commits it, all on the calling thread; waits for its turn first.
    ///
    /// When this returns, everything was written, as safe as the environment's durability makes it; when it throws, or
    /// when the process dies before it returns, either all of it or nothing will be found. ``WriterThread`` is the
    /// usual caller. A call from inside another write transaction's closure is a programming error: see
    /// ``WriteTransaction/nested(_:)``.
    ///
    /// - Parameter body: Reads and writes. When it throws, everything is undone.
    /// - Returns: What the closure returns.
    /// - Throws: ``LMDBError``, or what the closure throws.
    public func write<R>(_ body: (borrowing WriteTransaction) throws -> R) throws -> R {
        try enter("write")
        defer { leave() }
        let transaction = try beginWrite()
        let raw = RawTransaction(handle: transaction, environment: self, state: writing)
        let result: R
        do {
            result = try body(WriteTransaction(raw: raw))
            try checkCommit()
        } catch {
            endWrite()
            mdb_txn_abort(transaction)
            throw error
        }
        try commit(transaction)
        return result
    }

    func beginRead(_ operation: String) throws(LMDBError) -> OpaquePointer {
        var begun: OpaquePointer?
        var number = mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &begun)
        if number == MDB_READERS_FULL {
            clearStaleReaders()
            number = mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &begun)
        }
        guard number == 0, let transaction = begun else { throw failure(number, operation) }
        return transaction
    }

    /// Frees the slots of processes that died while they read: no page those saw could be used again.
    func clearStaleReaders() { mdb_reader_check(handle, nil) }

    private func beginWrite() throws(LMDBError) -> OpaquePointer {
        guard configuration.access == .readWrite else {
            let detail = "the environment was opened for reading only"
            throw LMDBError(.permissionDenied, operation: "write", path: path, detail: detail)
        }
        let thread = Platform.threadID
        precondition(
            writer.load(ordering: .relaxed) != thread,
            "A write transaction inside another one of \(path) would wait for itself: use nested."
        )
        var begun: OpaquePointer?
        let number = mdb_txn_begin(handle, nil, 0, &begun)
        guard number == 0, let transaction = begun else { throw failure(number, "begin a write") }
        do throws(LMDBError) { try checkPoison("write") } catch {
            // The transaction that this one waited for poisoned the environment.
            mdb_txn_abort(transaction)
            throw error
        }
        writer.store(thread, ordering: .relaxed)
        return transaction
    }

    private func commit(_ transaction: OpaquePointer) throws(LMDBError) {
        let opened = writing.pointee.opened
        // Before the commit, which lets the next writer in.
        endWrite()
        let number = finish(transaction)
        guard number == 0 else { throw changeFailure(number, "commit", duringCommit: true) }
        guard !opened.isEmpty else { return }
        tables.withLock { cache in
            for (name, table) in opened { cache.byName[name] = table }
        }
    }

    private func checkCommit() throws(LMDBError) {
        try checkPoison("commit")
        if writing.pointee.isBroken { throw .broken(path) }
    }

    private func endWrite() {
        writing.pointee.end(WriteState.Level(opened: 0, cursors: 0), undone: true)
        writer.store(0, ordering: .relaxed)
    }
}

extension LMDBError {
    static func broken(_ path: String) -> LMDBError {
        let detail = "a reserved row was not filled: let the error of its closure undo the transaction"
        return LMDBError(.badTransaction, operation: "commit", path: path, detail: detail)
    }
}
