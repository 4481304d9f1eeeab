/// A table of one type of key and one type of value, over a table whose keys are bytes.
///
/// It is a view without any state: make one wherever a ``Table`` is at hand.
public struct TypedTable<Key: RawCodable, Value: RawCodable>: Sendable {
    /// The table underneath.
    public let table: Table

    /// Makes a view of a table.
    ///
    /// - Parameter table: A table of ``KeyOrder/bytes``, with rows of these types only.
    @inlinable
    public init(_ table: Table) { self.table = table }

    /// Finds a key's value.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - transaction: Where to look.
    /// - Returns: The value, or nil when the key is absent.
    /// - Throws: ``LMDBError``, or what the value's decoding throws.
    @inlinable
    public func get(_ key: Key, in transaction: borrowing some Transaction & ~Copyable) throws -> Value? {
        let raw = transaction.raw
        return try key.withRawBytes { key -> Value? in
            guard let bytes = try raw.get(key, in: table) else { return nil }
            return try Value(rawBytes: bytes)
        }
    }

    /// Writes a row, over what the key had.
    ///
    /// - Parameters:
    ///   - value: The value.
    ///   - key: The key.
    ///   - transaction: Where to write.
    /// - Throws: ``LMDBError``.
    @inlinable
    public func put(_ value: Value, for key: Key, in transaction: borrowing WriteTransaction) throws {
        let raw = transaction.raw
        try key.withRawBytes { key in
            try value.withRawBytes { _ = try raw.put($0, for: key, in: table, .replace) }
        }
    }

    /// Deletes a row.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - transaction: Where to delete.
    /// - Returns: False when the key was absent.
    /// - Throws: ``LMDBError``.
    @inlinable
    @discardableResult
    public func delete(_ key: Key, in transaction: borrowing WriteTransaction) throws -> Bool {
        let raw = transaction.raw
        return try key.withRawBytes { try raw.delete($0, in: table) }
    }

    /// Changes a key's value, with one search for reading and writing.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - initial: The value to start from when the key is absent.
    ///   - transaction: Where to write.
    ///   - body: Changes the value. When it throws, nothing is written.
    /// - Returns: What the closure returns.
    /// - Throws: ``LMDBError``, what the value's decoding throws, or what the closure throws.
    @inlinable
    @discardableResult
    public func update<R>(
        _ key: Key,
        default initial: @autoclosure () throws -> Value,
        in transaction: borrowing WriteTransaction,
        _ body: (inout Value) throws -> R
    ) throws -> R {
        let raw = transaction.raw
        return try key.withRawBytes { key -> R in
            let position = try raw.position(of: key, in: table)
            var value = if let bytes = position.value { try Value(rawBytes: bytes) } else { try initial() }
            let result = try body(&value)
            try value.withRawBytes { try raw.put($0, at: position, for: key, in: table) }
            return result
        }
    }

    /// Calls a closure with each row, in the order of the keys' bytes.
    ///
    /// - Parameters:
    ///   - transaction: Where to read. The closure must not write to this table.
    ///   - body: Gets key and value, and answers whether to go on.
    /// - Throws: ``LMDBError``, what decoding throws, or what the closure throws.
    @inlinable
    public func forEach(
        in transaction: borrowing some Transaction & ~Copyable,
        while body: (Key, Value) throws -> Bool
    ) throws {
        try transaction.withCursor(in: table) { cursor in
            var row = try cursor.first()
            while let found = row {
                guard try body(Key(rawBytes: found.key), Value(rawBytes: found.value)) else { return }
                row = try cursor.next()
            }
        }
    }

    /// Calls a closure with each row, in the order of the keys' bytes.
    ///
    /// - Parameters:
    ///   - transaction: Where to read. The closure must not write to this table.
    ///   - body: Gets key and value.
    /// - Throws: ``LMDBError``, what decoding throws, or what the closure throws.
    @inlinable
    public func forEach(
        in transaction: borrowing some Transaction & ~Copyable,
        _ body: (Key, Value) throws -> Void
    ) throws {
        try forEach(
            in: transaction,
            while: { key, value in
                try body(key, value)
                return true
            }
        )
    }

    /// How many rows the table has.
    ///
    /// - Parameter transaction: Where to count.
    /// - Returns: The number of rows.
    /// - Throws: ``LMDBError``.
    public func count(in transaction: borrowing some Transaction & ~Copyable) throws -> Int {
        try transaction.count(table)
    }
}
