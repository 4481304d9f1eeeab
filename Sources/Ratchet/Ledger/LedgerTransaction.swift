public import LMDB

/// The ledger's transaction, as a handler sees it: state, and messages to be published.
///
/// All of it, the deduplication record and the position of the message are one LMDB transaction: after a crash either
/// everything of a message is there or nothing. If the handler throws, what it wrote here is undone, and nobody else's
/// writes are.
public struct LedgerTransaction: ~Copyable {
    @usableFromInline let transaction: WriteTransaction
    let scope: TransactionScope

    init(_ transaction: borrowing WriteTransaction, scope: TransactionScope) {
        self.transaction = WriteTransaction(raw: transaction.raw)
        self.scope = scope
    }

    /// The message being settled, nil outside of a pipeline.
    public var message: Message? { scope.entry?.message }

    /// The message's idempotency key, nil without one.
    public var idempotencyKey: IdempotencyKey? { scope.entry.flatMap { $0.batch.key(at: Int($0.index)) } }

    /// The number of this attempt at the message, from 1.
    public var attempt: Int { scope.entry.map { Int($0.attempt) } ?? 1 }

    /// The value of `key`, nil if there is none. Throws ``LMDBError``, ``CorruptionError`` if the row is not what was
    /// written, or what decoding the value throws.
    @inlinable
    public func get<Key, Value>(_ table: StateTable<Key, Value>, _ key: Key) throws -> Value? {
        let rows = try rows(of: table.identity)
        return try key.withRawBytes { key in
            guard let bytes = try transaction.get(key, in: rows) else { return nil }
            return try table.coding.decode(table.identity.rows.value(of: bytes, key))
        }
    }

    /// Sets the value of `key`, 1 to 511 bytes in its binary form. Throws ``LMDBError``.
    @inlinable
    public func put<Key, Value>(_ table: StateTable<Key, Value>, _ key: Key, _ value: Value) throws {
        let rows = try rows(of: table.identity)
        try key.withRawBytes { key in
            keep(try transaction.get(key, in: rows), of: key, in: rows)
            try table.coding.withBytes(value) { value in
                try table.identity.rows.withRow(of: value, key) { _ = try transaction.put($0, for: key, in: rows) }
            }
        }
    }

    /// Changes the value of `key` in one search; `initial` is what it starts from where there is none.
    @inlinable
    public func update<Key, Value>(
        _ table: StateTable<Key, Value>,
        _ key: Key,
        default initial: @autoclosure () -> Value,
        _ body: (inout Value) throws -> Void
    ) throws {
        let rows = try rows(of: table.identity)
        try key.withRawBytes { key in
            let row = try transaction.raw.position(of: key, in: rows)
            keep(row.value, of: key, in: rows)
            var value =
                try row.value.map { try table.coding.decode(table.identity.rows.value(of: $0, key)) } ?? initial()
            try body(&value)
            try table.coding.withBytes(value) { value in
                try table.identity.rows.withRow(of: value, key) {
                    try transaction.raw.put($0, at: row, for: key, in: rows)
                }
            }
        }
    }

    /// Removes `key`; returns whether it was there.
    @inlinable
    @discardableResult
    public func remove<Key, Value>(_ table: StateTable<Key, Value>, _ key: Key) throws -> Bool {
        let rows = try rows(of: table.identity)
        return try key.withRawBytes { key in
            guard let old = try transaction.get(key, in: rows) else { return false }
            keep(old, of: key, in: rows)
            return try transaction.delete(key, in: rows)
        }
    }

    @usableFromInline
    func rows(of table: StateTableIdentity) throws -> Table { try scope.table(table, in: transaction) }

    @usableFromInline
    func keep(_ value: UnsafeRawBufferPointer?, of key: UnsafeRawBufferPointer, in table: Table) {
        scope.current.pointee.undo.keep(value, of: key, in: table)
    }
}

extension LedgerTransaction {
    /// Publishes a message when this transaction commits: it goes through the outbox, in the order of its key, until
    /// the sink has confirmed it.
    ///
    /// Without a `message-id` header it is given one that is derived from the message being settled, the same at every
    /// attempt and after every crash; the sink may get the message more than once, under that id. Throws
    /// ``MessageError`` for a message that no broker would take, ``LedgerError/Code/invalidArgument`` where there is
    /// neither an id nor a message to derive it from.
    public func publish(_ message: OutgoingMessage) throws {
        try scope.publish(message)
    }

    /// Publishes `value` as JSON; see ``publish(_:)``.
    public func publish(
        _ value: some Encodable,
        to topic: String,
        key: String? = nil,
        id: String? = nil,
        headers: [Header] = []
    ) throws {
        try publish(OutgoingMessage(json: value, to: topic, key: key, id: id, headers: headers))
    }
}

extension OutgoingMessage {
    /// A message whose payload is `value` as JSON, with `id` in its `message-id` header. Throws what encoding the value
    /// throws.
    public init(
        json value: some Encodable,
        to topic: String,
        key: String? = nil,
        id: String? = nil,
        headers: [Header] = []
    ) throws {
        let ids = id.map { [Header.messageID($0)] } ?? []
        self.init(to: topic, key: key, payload: try JSONCoding.encode(value), headers: ids + headers)
    }
}
