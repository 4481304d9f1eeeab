/// What can be read in either kind of transaction.
public protocol Transaction: ~Copyable {
    /// LMDB's own transaction.
    var raw: RawTransaction { get }
}

/// One unchanging view of an environment. See ``Environment/read(_:)``.
public struct ReadTransaction: Transaction, ~Copyable {
    /// LMDB's own transaction.
    public let raw: RawTransaction
}

extension Transaction where Self: ~Copyable {
    /// Finds a table.
    ///
    /// One that another process created is found by an environment that is opened for reading only, and by
    /// ``WriteTransaction/table(_:keys:create:)``.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - keys: How it compares keys.
    /// - Returns: The table, or nil when this view has none of that name.
    /// - Throws: ``LMDBError/Code/invalid`` when its keys are of the other order.
    public func table(_ name: String, keys: KeyOrder = .bytes) throws -> Table? {
        try raw.table(name, keys: keys)
    }

    /// Finds a key's value.
    ///
    /// - Parameters:
    ///   - key: 1 to 511 bytes; a native `UInt64` in a table of integers.
    ///   - table: The table.
    /// - Returns: The value in place, without alignment; valid until the transaction's next write or its end. Nil when
    ///   the key is absent.
    /// - Throws: ``LMDBError``.
    public func get(_ key: UnsafeRawBufferPointer, in table: Table) throws -> UnsafeRawBufferPointer? {
        try raw.get(key, in: table)
    }

    /// Finds a key's value in a table of integers.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - table: A table whose keys are integers.
    /// - Returns: The value in place, without alignment; valid until the transaction's next write or its end. Nil when
    ///   the key is absent.
    /// - Throws: ``LMDBError``.
    public func get(_ key: UInt64, in table: Table) throws -> UnsafeRawBufferPointer? {
        try raw.checkIntegers(table, "get")
        return try withUnsafeBytes(of: key) { try raw.get($0, in: table) }
    }

    /// Calls a closure with a key's value, which cannot leave it.
    ///
    /// - Parameters:
    ///   - key: 1 to 511 bytes; a native `UInt64` in a table of integers.
    ///   - table: The table.
    ///   - body: Gets the value, or nil when the key is absent. Must not write to the environment while it uses it.
    /// - Returns: What the closure returns.
    /// - Throws: ``LMDBError``, or what the closure throws.
    public func withValue<R>(
        of key: UnsafeRawBufferPointer,
        in table: Table,
        _ body: (RawSpan?) throws -> R
    ) throws -> R {
        try body(raw.get(key, in: table)?.bytes)
    }

    /// Calls a closure with the value of a key in a table of integers, which cannot leave it.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - table: A table whose keys are integers.
    ///   - body: Gets the value, or nil when the key is absent. Must not write to the environment while it uses it.
    /// - Returns: What the closure returns.
    /// - Throws: ``LMDBError``, or what the closure throws.
    public func withValue<R>(of key: UInt64, in table: Table, _ body: (RawSpan?) throws -> R) throws -> R {
        try body(get(key, in: table)?.bytes)
    }

    /// How many rows a table has. Costs nothing.
    ///
    /// - Parameter table: The table.
    /// - Returns: The number of rows.
    /// - Throws: ``LMDBError``.
    public func count(_ table: Table) throws -> Int { try raw.count(table) }
}
