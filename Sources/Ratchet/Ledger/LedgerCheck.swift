import LMDB

/// Looks at every row of a ledger before any of them is believed: a row that is not what was written would be found, but
/// one whose key has changed would only be missed.
///
/// The journal is not among them: it is read, and so checked, at each opening.
enum LedgerCheck {
    /// Throws ``CorruptionError`` for the first row that is not what was written.
    static func run(_ environment: Environment, _ tables: LedgerTables) throws {
        let path = environment.path
        try environment.read { transaction in
            try checkMeta(tables, in: transaction, path)
            try transaction.forEachRow(of: tables.positions) { row in
                if PositionLayout.decode(row.value, key: Array(row.key)) == nil {
                    throw CorruptionError("a position in \(path)")
                }
            }
            try transaction.forEachRow(of: tables.deadLetters) { row in
                if DeadLetterLayout.decode(row.value, id: row.integerKey) == nil {
                    throw CorruptionError("dead letter \(row.integerKey) in \(path)")
                }
            }
            try checkState(environment.tableNames, in: transaction, path)
        }
    }

    private static func checkMeta(
        _ tables: LedgerTables,
        in transaction: borrowing ReadTransaction,
        _ path: String
    ) throws {
        try transaction.forEachRow(of: tables.meta) { row in
            let name = String(decoding: row.key, as: UTF8.self)
            guard LedgerMeta.names.contains(name) else { throw CorruptionError("the row '\(name)' of \(path)") }
            if name == LedgerMeta.kind || name == LedgerMeta.version { return }
            _ = try LedgerMeta.getSealed(name, in: tables.meta, of: transaction, path: path)
        }
    }

    private static func checkState(
        _ names: [String],
        in transaction: borrowing ReadTransaction,
        _ path: String
    ) throws {
        for name in names where !LedgerTables.names.contains(name) {
            guard name.hasPrefix(StateTableIdentity.prefix), let table = try transaction.table(name) else {
                throw CorruptionError("the table '\(name)' of \(path)")
            }
            let layout = StateRowLayout(name)
            try transaction.forEachRow(of: table) { _ = try layout.value(of: $0.value, $0.key) }
        }
    }
}
