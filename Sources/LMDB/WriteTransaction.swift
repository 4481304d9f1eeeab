import CLMDB

/// The one transaction that may write. See ``Environment/write(_:)``.
///
/// Bytes that are handed over to be written must not lie in the environment's own pages: a value that was read in place
/// is copied first.
public struct WriteTransaction: Transaction, ~Copyable {
    /// LMDB's own transaction.
    public let raw: RawTransaction

    /// Opens a table, and creates it on request.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - keys: How it compares keys.
    ///   - create: Creates it when it is absent.
    /// - Returns: The table. When it was created here and this transaction is undone, the handle is gone.
    /// - Throws: ``LMDBError``: ``LMDBError/Code/absent`` when it is absent and not to be created,
    ///   ``LMDBError/Code/invalid`` when its keys are of the other order, ``LMDBError/Code/tablesFull``.
    public func table(_ name: String, keys: KeyOrder = .bytes, create: Bool) throws -> Table {
        try raw.createTable(name, keys: keys, create: create)
    }

    /// Writes a row.
    ///
    /// - Parameters:
    ///   - value: Any number of bytes, none included.
    ///   - key: 1 to 511 bytes; a native `UInt64` in a table of integers.
    ///   - table: The table.
    ///   - mode: What happens when the key is there already.
    /// - Returns: False when the mode is ``PutMode/insert`` and the key was there; nothing was written then.
    /// - Throws: ``LMDBError``.
    @discardableResult
    public func put(
        _ value: UnsafeRawBufferPointer,
        for key: UnsafeRawBufferPointer,
        in table: Table,
        _ mode: PutMode = .replace
    ) throws -> Bool {
        try raw.put(value, for: key, in: table, mode)
    }

    /// Writes a row of a table of integers.
    ///
    /// - Parameters:
    ///   - value: Any number of bytes, none included.
    ///   - key: The key.
    ///   - table: A table whose keys are integers.
    ///   - mode: What happens when the key is there already.
    /// - Returns: False when the mode is ``PutMode/insert`` and the key was there; nothing was written then.
    /// - Throws: ``LMDBError``.
    @discardableResult
    public func put(
        _ value: UnsafeRawBufferPointer,
        for key: UInt64,
        in table: Table,
        _ mode: PutMode = .replace
    ) throws -> Bool {
        try raw.checkIntegers(table, "put")
        return try withUnsafeBytes(of: key) { try raw.put(value, for: $0, in: table, mode) }
    }

    /// Writes a row in place, without a copy in between.
    ///
    /// - Parameters:
    ///   - size: The value's size in bytes.
    ///   - key: 1 to 511 bytes; a native `UInt64` in a table of integers.
    ///   - table: The table.
    ///   - mode: What happens when the key is there already.
    ///   - fill: Fills all of the value, whose bytes hold anything before. Must not use the transaction. When it
    ///     throws, this transaction cannot be committed any more.
    /// - Returns: False when the mode is ``PutMode/insert`` and the key was there; `fill` did not run then.
    /// - Throws: ``LMDBError``, or what `fill` throws.
    @discardableResult
    public func reserve(
        _ size: Int,
        for key: UnsafeRawBufferPointer,
        in table: Table,
        _ mode: PutMode = .replace,
        _ fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws -> Bool {
        try raw.reserve(size, for: key, in: table, mode, fill)
    }

    /// Writes a row of a table of integers in place, without a copy in between.
    ///
    /// - Parameters:
    ///   - size: The value's size in bytes.
    ///   - key: The key.
    ///   - table: A table whose keys are integers.
    ///   - mode: What happens when the key is there already.
    ///   - fill: Fills all of the value, whose bytes hold anything before. Must not use the transaction. When it
    ///     throws, this transaction cannot be committed any more.
    /// - Returns: False when the mode is ``PutMode/insert`` and the key was there; `fill` did not run then.
    /// - Throws: ``LMDBError``, or what `fill` throws.
    @discardableResult
    public func reserve(
        _ size: Int,
        for key: UInt64,
        in table: Table,
        _ mode: PutMode = .replace,
        _ fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws -> Bool {
        try raw.checkIntegers(table, "reserve")
        return try withUnsafeBytes(of: key) { try raw.reserve(size, for: $0, in: table, mode, fill) }
    }

    /// Deletes a row.
    ///
    /// - Parameters:
    ///   - key: 1 to 511 bytes; a native `UInt64` in a table of integers.
    ///   - table: The table.
    /// - Returns: False when the key was absent.
    /// - Throws: ``LMDBError``.
    @discardableResult
    public func delete(_ key: UnsafeRawBufferPointer, in table: Table) throws -> Bool {
        try raw.delete(key, in: table)
    }

    /// Deletes a row of a table of integers.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - table: A table whose keys are integers.
    /// - Returns: False when the key was absent.
    /// - Throws: ``LMDBError``.
    @discardableResult
    public func delete(_ key: UInt64, in table: Table) throws -> Bool {
        try raw.checkIntegers(table, "delete")
        return try withUnsafeBytes(of: key) { try raw.delete($0, in: table) }
    }

    /// Deletes all rows of a table, in milliseconds also where there are millions.
    ///
    /// - Parameter table: The table. It stays.
    /// - Throws: ``LMDBError``.
    public func clear(_ table: Table) throws { try raw.clear(table) }
}

extension WriteTransaction {
    /// Runs a closure in a transaction inside this one, which can be undone alone.
    ///
    /// What it writes becomes part of this transaction when the closure returns, and is written to the disk with it.
    /// This transaction cannot be used while the closure runs.
    ///
    /// - Parameter body: Reads and writes. When it throws, only what it did is undone.
    /// - Returns: What the closure returns.
    /// - Throws: ``LMDBError``, or what the closure throws.
    public func nested<R>(_ body: (borrowing WriteTransaction) throws -> R) throws -> R {
        guard let state = raw.state else { throw raw.error(.badTransaction, "nest", "not a write transaction") }
        if state.pointee.isBroken { throw LMDBError.broken(raw.environment.path) }
        var begun: OpaquePointer?
        var number = mdb_txn_begin(raw.environment.handle, raw.handle, 0, &begun)
        guard number == 0, let child = begun else { throw raw.environment.failure(number, "nest") }
        let level = state.pointee.level

        let inner = RawTransaction(handle: child, environment: raw.environment, state: state)
        let result: R
        do {
            result = try body(WriteTransaction(raw: inner))
            if state.pointee.isBroken { throw LMDBError.broken(raw.environment.path) }
        } catch {
            state.pointee.end(level, undone: true)
            mdb_txn_abort(child)
            throw error
        }
        number = mdb_txn_commit(child)
        state.pointee.end(level, undone: number != 0)
        guard number == 0 else { throw raw.environment.changeFailure(number, "commit a nested transaction") }
        return result
    }
}
