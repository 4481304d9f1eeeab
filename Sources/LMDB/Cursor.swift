import CLMDB

/// A position in a table that moves from row to row in the order of keys. See ``Transaction/withCursor(in:_:)``.
public struct Cursor: ~Copyable {
    /// One row in place. Valid until the transaction's next write or its end.
    public struct Row {
        /// The key's bytes.
        public let key: UnsafeRawBufferPointer
        /// The value's bytes, without alignment.
        public let value: UnsafeRawBufferPointer

        /// The key as a number. Only in a table of integers.
        public var integerKey: UInt64 { key.loadUnaligned(as: UInt64.self) }
    }

    private let handle: OpaquePointer
    private let transaction: RawTransaction
    private let table: Table

    init(in table: Table, of transaction: RawTransaction) throws {
        handle = try transaction.openCursor(in: table)
        self.transaction = transaction
        self.table = table
    }

    deinit { mdb_cursor_close(handle) }

    /// Moves to the first row.
    ///
    /// - Returns: The row, or nil when the table is empty.
    /// - Throws: ``LMDBError``.
    public func first() throws -> Row? { try move(MDB_FIRST) }

    /// Moves to the last row.
    ///
    /// - Returns: The row, or nil when the table is empty.
    /// - Throws: ``LMDBError``.
    public func last() throws -> Row? { try move(MDB_LAST) }

    /// Moves to the row behind this one; to the first one when the cursor is new. After ``delete()``, to the row that
    /// followed.
    ///
    /// - Returns: The row, or nil at the end.
    /// - Throws: ``LMDBError``.
    public func next() throws -> Row? { try move(MDB_NEXT) }

    /// Moves to the row before this one; to the last one when the cursor is new.
    ///
    /// - Returns: The row, or nil at the beginning.
    /// - Throws: ``LMDBError``.
    public func previous() throws -> Row? { try move(MDB_PREV) }

    /// Moves to the first row whose key is not below the given one.
    ///
    /// - Parameter key: 1 to 511 bytes; a native `UInt64` in a table of integers.
    /// - Returns: The row, or nil when all keys are below.
    /// - Throws: ``LMDBError``.
    public func seek(atLeast key: UnsafeRawBufferPointer) throws -> Row? { try move(MDB_SET_RANGE, key) }

    /// Moves to the first row of a table of integers whose key is not below the given one.
    ///
    /// - Parameter key: The key.
    /// - Returns: The row, or nil when all keys are below.
    /// - Throws: ``LMDBError``.
    public func seek(atLeast key: UInt64) throws -> Row? {
        try transaction.checkIntegers(table, "seek")
        return try withUnsafeBytes(of: key) { try move(MDB_SET_RANGE, $0) }
    }

    /// Moves to a key's row.
    ///
    /// - Parameter key: 1 to 511 bytes; a native `UInt64` in a table of integers.
    /// - Returns: The row, or nil when the key is absent; the cursor has no position then.
    /// - Throws: ``LMDBError``.
    public func seek(exactly key: UnsafeRawBufferPointer) throws -> Row? { try move(MDB_SET_KEY, key) }

    /// Moves to a key's row in a table of integers.
    ///
    /// - Parameter key: The key.
    /// - Returns: The row, or nil when the key is absent; the cursor has no position then.
    /// - Throws: ``LMDBError``.
    public func seek(exactly key: UInt64) throws -> Row? {
        try transaction.checkIntegers(table, "seek")
        return try withUnsafeBytes(of: key) { try move(MDB_SET_KEY, $0) }
    }

    /// The row the cursor is on.
    ///
    /// - Returns: The row, or nil when the cursor has no position. After ``delete()``, move first.
    /// - Throws: ``LMDBError``.
    public func current() throws -> Row? { try move(MDB_GET_CURRENT) }

    /// Deletes the row the cursor is on. Only in a write transaction.
    ///
    /// - Throws: ``LMDBError``; ``LMDBError/Code/absent`` when the cursor has no position.
    public func delete() throws {
        guard try current() != nil else { throw noRow("delete") }
        transaction.state?.pointee.marks &+= 1
        let number = mdb_cursor_del(handle, 0)
        guard number == 0 else { throw transaction.environment.changeFailure(number, "delete") }
    }

    /// Writes the value of the row the cursor is on. Only in a write transaction.
    ///
    /// - Parameter value: The new value, of any size. Must not lie in the environment's own pages.
    /// - Throws: ``LMDBError``; ``LMDBError/Code/absent`` when the cursor has no position.
    public func put(_ value: UnsafeRawBufferPointer) throws {
        guard let row = try current() else { throw noRow("put") }
        transaction.state?.pointee.marks &+= 1
        let number = withUnsafeTemporaryAllocation(byteCount: row.key.count, alignment: 8) { copy -> Int32 in
            // A value of another size moves the page's bytes, the key's included.
            copy.copyMemory(from: row.key)
            var key = MDB_val(UnsafeRawBufferPointer(copy))
            var value = MDB_val(value)
            return mdb_cursor_put(handle, &key, &value, UInt32(MDB_CURRENT))
        }
        guard number == 0 else { throw transaction.environment.changeFailure(number, "put") }
    }

    private func move(_ step: MDB_cursor_op) throws -> Row? {
        try row(step, MDB_val())
    }

    private func move(_ step: MDB_cursor_op, _ key: UnsafeRawBufferPointer) throws -> Row? {
        try transaction.check(key, table, "seek")
        return try row(step, MDB_val(key))
    }

    private func row(_ step: MDB_cursor_op, _ wanted: MDB_val) throws -> Row? {
        var key = wanted
        var value = MDB_val()
        let number = mdb_cursor_get(handle, &key, &value, step)
        switch number {
        case 0:
            // LMDB believes its pages: a damaged one must not make a number of bytes that are not there.
            if table.keys == .integers && key.mv_size != 8 { throw unfitKey(key.mv_size) }
            return Row(key: UnsafeRawBufferPointer(key), value: UnsafeRawBufferPointer(value))
        case MDB_NOTFOUND: return nil
        // The answer of a cursor that has no position yet.
        case Platform.invalid where step == MDB_GET_CURRENT: return nil
        default: throw transaction.environment.failure(number, "move a cursor")
        }
    }

    private func unfitKey(_ size: Int) -> LMDBError {
        let detail = "a key has \(size) bytes where all have 8: the file is damaged, restore it from a copy"
        return transaction.error(.corrupted, "move a cursor", detail)
    }

    private func noRow(_ operation: StaticString) -> LMDBError {
        transaction.error(.absent, operation, "the cursor is on no row")
    }
}

extension Transaction where Self: ~Copyable {
    /// Calls a closure with a new cursor, which ends with it.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - body: Moves the cursor. The cursor belongs to this transaction: in a write transaction it may be used in
    ///     nested ones too.
    /// - Returns: What the closure returns.
    /// - Throws: ``LMDBError``, or what the closure throws.
    public func withCursor<R>(in table: Table, _ body: (borrowing Cursor) throws -> R) throws -> R {
        try body(Cursor(in: table, of: raw))
    }

    /// Calls a closure with each row, in the order of keys.
    ///
    /// - Parameters:
    ///   - table: The table. The closure must not write to it.
    ///   - body: Gets the row, valid until it returns.
    /// - Throws: ``LMDBError``, or what the closure throws.
    public func forEachRow(of table: Table, _ body: (Cursor.Row) throws -> Void) throws {
        try withCursor(in: table) { cursor in
            var row = try cursor.first()
            while let found = row {
                try body(found)
                row = try cursor.next()
            }
        }
    }
}
