import LMDB

/// Reads a ledger: what is committed, a short transaction at a time, beside the pipeline that writes it.
public final class LedgerReader: Sendable {
    private let environment: Environment
    private let tables: LedgerTables
    private let isOwner: Bool

    init(environment: Environment, tables: LedgerTables) {
        self.environment = environment
        self.tables = tables
        isOwner = false
    }

    /// Opens a ledger to look into it, from another process than the pipeline's (same user). Makes nothing and changes
    /// nothing. Throws ``LedgerError/Code/notALedger`` where there is none, ``LedgerError/Code/unknownVersion``.
    public init(at path: String) throws {
        var settings = Environment.Configuration()
        settings.access = .readOnly
        do {
            environment = try Environment.open(at: path, configuration: settings)
        } catch let error as LMDBError where error.code == .invalid || error.code == .absent {
            throw LedgerError(.notALedger, "\(path): \(error.detail)")
        }
        isOwner = true
        do {
            let path = environment.path
            tables = try environment.read { transaction in
                try LedgerTables(in: transaction, path: path)
            }
        } catch {
            environment.close()
            throw error
        }
    }

    /// Lets go of the files, if this reader opened them.
    public func close() {
        if isOwner { environment.close() }
    }

    /// The value of `key` in a state table, nil if there is none.
    public func get<Key, Value>(_ table: StateTable<Key, Value>, _ key: Key) throws -> Value? {
        try environment.read { transaction in
            guard let rows = try transaction.table(table.identity.storedName) else { return nil }
            return try key.withRawBytes { key in
                try transaction.get(key, in: rows).map {
                    try table.coding.decode(table.identity.rows.value(of: $0, key))
                }
            }
        }
    }

    /// How many rows a state table has.
    public func count<Key, Value>(_ table: StateTable<Key, Value>) throws -> Int {
        try environment.read { transaction in
            guard let rows = try transaction.table(table.identity.storedName) else { return 0 }
            return try transaction.count(rows)
        }
    }

    /// Calls `body` with each row of a state table in the order of the keys' binary form. A thousand rows are read at a
    /// time, so a long scan sees what is committed meanwhile.
    public func forEach<Key, Value>(in table: StateTable<Key, Value>, _ body: (Key, Value) throws -> Void) throws {
        var last: [UInt8] = []
        while true {
            var rows: [(Key, Value)] = []
            let more = try chunk(of: table.identity.storedName, after: &last) { key, value in
                let value = try table.identity.rows.value(of: value, key)
                rows.append((try Key(rawBytes: key), try table.coding.decode(value)))
            }
            for (key, value) in rows { try body(key, value) }
            if !more { return }
        }
    }

    private func chunk(
        of name: String,
        after last: inout [UInt8],
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        try environment.read { transaction in
            guard let table = try transaction.table(name) else { return false }
            return try transaction.withCursor(in: table) { cursor in
                var row = last.isEmpty ? try cursor.first() : try last.withUnsafeBytes { try cursor.seek(atLeast: $0) }
                if let found = row, !last.isEmpty, found.key.elementsEqual(last) { row = try cursor.next() }
                var count = 0
                while let found = row, count < 1000 {
                    try body(found.key, found.value)
                    count += 1
                    last = Array(found.key)
                    row = try cursor.next()
                }
                return row != nil
            }
        }
    }

    /// What became of all messages. Throws ``CorruptionError`` if the row is not what was written.
    public func totals() throws -> LedgerTotals {
        try environment.read { transaction in
            let path = environment.path
            let totals = try LedgerMeta.getSealed(LedgerMeta.totals, in: tables.meta, of: transaction, path: path)
            return LedgerTotals(totals ?? [])
        }
    }

    /// How many entries the outbox holds: commits whose messages are not all confirmed.
    public func outboxCount() throws -> Int { try environment.read { try $0.count(tables.outbox) } }

    /// How many dead letters there are.
    public func deadLetterCount() throws -> Int { try environment.read { try $0.count(tables.deadLetters) } }

    /// Dead letters in the order in which they were given up: at most `limit` (1 or more) of those after number
    /// `after`. Throws ``CorruptionError`` for one that is not what was written.
    public func deadLetters(after id: UInt64 = 0, limit: Int = 1000) throws -> [DeadLetter] {
        try environment.read { transaction in
            try transaction.withCursor(in: tables.deadLetters) { cursor in
                var letters: [DeadLetter] = []
                var row = try cursor.seek(atLeast: id + 1)
                while let found = row, letters.count < limit {
                    guard let letter = DeadLetterLayout.decode(found.value, id: found.integerKey) else {
                        throw CorruptionError("dead letter \(found.integerKey)")
                    }
                    letters.append(letter)
                    row = try cursor.next()
                }
                return letters
            }
        }
    }
}
