import LMDB

/// The ledger's tables and the rows of `meta`, each named once.
package struct LedgerTables: Sendable {
    /// The format that this library writes and reads.
    package static let formatVersion: UInt32 = 1
    static let kind = "ratchet ledger"
    /// All but those of the state.
    static let names = ["meta", "journal", "positions", "outbox", "deadletters"]

    let meta: Table
    let journal: Table
    let positions: Table
    let outbox: Table
    let deadLetters: Table

    /// Makes the tables of a new ledger.
    init(making transaction: borrowing WriteTransaction) throws {
        meta = try transaction.table("meta", create: true)
        journal = try transaction.table("journal", keys: .integers, create: true)
        positions = try transaction.table("positions", create: true)
        outbox = try transaction.table("outbox", keys: .integers, create: true)
        deadLetters = try transaction.table("deadletters", keys: .integers, create: true)
    }

    /// Finds the tables of a ledger.
    init(in transaction: borrowing some Transaction & ~Copyable, path: String) throws {
        guard let meta = try transaction.table("meta") else {
            throw LedgerError(.notALedger, "\(path) is an LMDB environment of something else; choose another path")
        }
        try LedgerMeta.check(meta, of: transaction, path: path)
        guard let journal = try transaction.table("journal", keys: .integers),
            let positions = try transaction.table("positions"),
            let outbox = try transaction.table("outbox", keys: .integers),
            let deadLetters = try transaction.table("deadletters", keys: .integers)
        else { throw CorruptionError("the list of the tables of \(path)") }
        self.meta = meta
        self.journal = journal
        self.positions = positions
        self.outbox = outbox
        self.deadLetters = deadLetters
    }
}

/// The rows of `meta`.
enum LedgerMeta {
    static let kind = "kind"
    static let version = "version"
    static let ledgerID = "ledger"
    static let secret = "secret"
    static let group = "group"
    static let clock = "clock"
    static let totals = "totals"
    static let names = [kind, version, ledgerID, secret, group, clock, totals]

    static func get(_ name: String, in meta: Table, of transaction: borrowing some Transaction & ~Copyable) throws
        -> [UInt8]?
    {
        var name = name
        return try name.withUTF8 { try transaction.get(UnsafeRawBufferPointer($0), in: meta).map { Array($0) } }
    }

    static func put(_ value: [UInt8], as name: String, in meta: Table, of transaction: borrowing WriteTransaction)
        throws
    {
        var name = name
        try name.withUTF8 { name in
            _ = try value.withUnsafeBytes { try transaction.put($0, for: UnsafeRawBufferPointer(name), in: meta) }
        }
    }

    /// The bytes of a row that ``putSealed(_:as:in:of:)`` wrote, nil if there is none; throws ``CorruptionError`` if they
    /// are others.
    static func getSealed(
        _ name: String,
        in meta: Table,
        of transaction: borrowing some Transaction & ~Copyable,
        path: String
    ) throws -> [UInt8]? {
        guard let stored = try get(name, in: meta, of: transaction) else { return nil }
        let value = Array(stored.dropLast(8))
        guard Array(stored.suffix(8)).littleEndian(UInt64.self) == seal(value, as: name) else {
            throw CorruptionError("the row '\(name)' of \(path)")
        }
        return value
    }

    /// Writes a row with its checksum behind it: for what is believed without a second source.
    static func putSealed(
        _ value: [UInt8],
        as name: String,
        in meta: Table,
        of transaction: borrowing WriteTransaction
    ) throws {
        var sealed = value
        sealed.appendLittleEndian(seal(value, as: name))
        try put(sealed, as: name, in: meta, of: transaction)
    }

    /// The name counts: one row's bytes are not another's.
    private static func seal(_ value: [UInt8], as name: String) -> UInt64 {
        (value + name.utf8).withUnsafeBytes { Checksum.xxh64($0) }
    }

    /// Checks that the environment at `path` is a ledger of a version that this library knows.
    static func check(_ meta: Table, of transaction: borrowing some Transaction & ~Copyable, path: String) throws {
        guard let kind = try get(kind, in: meta, of: transaction), kind == Array(LedgerTables.kind.utf8) else {
            throw LedgerError(.notALedger, "\(path) is an LMDB environment of something else; choose another path")
        }
        let version = try get(version, in: meta, of: transaction)?.littleEndian(UInt32.self)
        guard version == LedgerTables.formatVersion else {
            let found = version.map(String.init) ?? "none"
            throw LedgerError(
                .unknownVersion,
                "\(path) has format \(found), this library knows \(LedgerTables.formatVersion); use the library that wrote it"
            )
        }
    }
}

extension [UInt8] {
    /// The integer that these bytes are, nil unless they are as many.
    func littleEndian<I: FixedWidthInteger>(_: I.Type) -> I? {
        guard count == MemoryLayout<I>.size else { return nil }
        return withUnsafeBytes { I(littleEndian: $0.loadUnaligned(as: I.self)) }
    }
}
