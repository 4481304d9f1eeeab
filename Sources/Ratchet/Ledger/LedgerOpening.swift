import LMDB
import Logging

/// Opens a ledger's files, or makes them, and reads what its writer has to know.
struct LedgerOpening {
    let environment: Environment
    let owner: OwnerFile
    let store: LedgerStore
    /// How many messages the outbox holds.
    let unconfirmed: Int

    static func open(at path: String, _ configuration: Ledger.Configuration) throws -> LedgerOpening {
        try check(configuration)
        // Nobody may be writing while the pages are checked.
        let known = try owner(ofExisting: path)
        let environment = try environment(at: path, configuration)
        do {
            let owner = try known ?? owner(of: environment.path)
            let store = try load(environment, configuration)
            if configuration.checksFile { try LedgerCheck.run(environment, store.tables) }
            let unconfirmed = try environment.read { try Outbox.messages(in: store.tables.outbox, of: $0) }
            return LedgerOpening(environment: environment, owner: owner, store: store, unconfirmed: unconfirmed)
        } catch {
            environment.close()
            throw error
        }
    }

    private static func owner(of path: String) throws -> OwnerFile {
        do { return try OwnerFile(in: path) } catch { throw inUse(error, path) }
    }

    private static func owner(ofExisting path: String) throws -> OwnerFile? {
        do { return try OwnerFile(ofExisting: path) } catch { throw inUse(error, path) }
    }

    private static func inUse(_ error: LMDBError, _ path: String) -> any Error {
        error.code == .alreadyOpen ? LedgerError(.inUse, "\(path): \(error.detail)") : error
    }

    private static func check(_ configuration: Ledger.Configuration) throws(LedgerError) {
        let window = configuration.window
        guard window.time > .zero, window.count > 0, configuration.quota > 0,
            configuration.mapSize >= configuration.quota
        else {
            throw LedgerError(
                .invalidArgument,
                "window of \(window.time) and \(window.count) keys, quota \(configuration.quota), map \(configuration.mapSize): all must be above zero, and the map not below the quota"
            )
        }
    }

    private static func environment(at path: String, _ configuration: Ledger.Configuration) throws -> Environment {
        var settings = Environment.Configuration()
        settings.mapSize = configuration.mapSize
        settings.quota = configuration.quota
        settings.maximumTables = configuration.maximumStateTables + 8
        settings.durability = configuration.isDurable ? .synced : .unsynced
        settings.checksPages = configuration.checksFile
        let random = configuration.random
        do {
            return try Environment.open(at: path, configuration: settings) { transaction in
                let tables = try LedgerTables(making: transaction)
                var version: [UInt8] = []
                version.appendLittleEndian(LedgerTables.formatVersion)
                let rows = [(LedgerMeta.kind, Array(LedgerTables.kind.utf8)), (LedgerMeta.version, version)]
                for (name, value) in rows { try LedgerMeta.put(value, as: name, in: tables.meta, of: transaction) }
                // With another secret no key would be found again.
                for name in [LedgerMeta.ledgerID, LedgerMeta.secret] {
                    let value = Self.bytes(random(), random())
                    try LedgerMeta.putSealed(value, as: name, in: tables.meta, of: transaction)
                }
            }
        } catch let error as LMDBError where error.code == .alreadyOpen {
            throw LedgerError(.inUse, "\(path) is open in this process already; share the one `Ledger`")
        } catch let error as LMDBError where error.code == .invalid {
            throw LedgerError(.notALedger, "\(path): \(error.detail)")
        } catch let error as LMDBError where error.code == .corrupted {
            throw CorruptionError("\(path) (\(error.detail))")
        }
    }

    private static func load(_ environment: Environment, _ configuration: Ledger.Configuration) throws -> LedgerStore {
        let path = environment.path
        return try environment.read { try load($0, path, configuration) }
    }

    private static func load(
        _ transaction: borrowing ReadTransaction,
        _ path: String,
        _ configuration: Ledger.Configuration
    ) throws -> LedgerStore {
        let tables = try LedgerTables(in: transaction, path: path)
        let secret = try row(LedgerMeta.secret, in: tables.meta, transaction, path)
        let ledgerID = try row(LedgerMeta.ledgerID, in: tables.meta, transaction, path)
        let fingerprint = Fingerprint(
            secret: (Array(secret[..<8]).littleEndian(UInt64.self)!, Array(secret[8...]).littleEndian(UInt64.self)!),
            bits: configuration.fingerprintBits
        )
        let journal = Journal(table: tables.journal, fingerprint: fingerprint)
        try journal.load(from: transaction)
        let totals = try LedgerMeta.getSealed(LedgerMeta.totals, in: tables.meta, of: transaction, path: path)
        return LedgerStore(
            path: path,
            identity: (ledgerID.hexadecimal, bytes(configuration.random()).hexadecimal),
            tables: tables,
            journal: journal,
            time: configuration.time,
            clock: try clock(transaction, tables, path, configuration, isFresh: journal.oldest == nil),
            window: configuration.window,
            totals: LedgerTotals(totals ?? []),
            nextOutbox: try next(tables.outbox, transaction),
            nextDeadLetter: try next(tables.deadLetters, transaction)
        )
    }

    private static func row(
        _ name: String,
        in meta: Table,
        _ transaction: borrowing ReadTransaction,
        _ path: String
    ) throws -> [UInt8] {
        guard let value = try LedgerMeta.getSealed(name, in: meta, of: transaction, path: path), value.count == 16
        else {
            throw CorruptionError("the row '\(name)' of \(path)")
        }
        return value
    }

    private static func clock(
        _ transaction: borrowing ReadTransaction,
        _ tables: LedgerTables,
        _ path: String,
        _ configuration: Ledger.Configuration,
        isFresh: Bool
    ) throws -> LedgerClock {
        // A time that leaps would forget keys before theirs.
        let stored = try LedgerMeta.getSealed(LedgerMeta.clock, in: tables.meta, of: transaction, path: path)
        let last: (ledger: Int64, wall: Int64)? = stored.flatMap { bytes in
            guard bytes.count == 16, let ledger = Array(bytes[..<8]).littleEndian(Int64.self),
                let wall = Array(bytes[8...]).littleEndian(Int64.self)
            else { return nil }
            return (ledger, wall)
        }
        // Every transaction that remembers keys writes the clock as well.
        guard last != nil || isFresh else { throw CorruptionError("the row '\(LedgerMeta.clock)' of \(path)") }
        let clock = LedgerClock(
            last: last,
            wall: configuration.time.wall(),
            monotonic: configuration.time.monotonic() / 1_000_000,
            longestDowntime: configuration.longestDowntime.milliseconds
        )
        switch clock.downtime {
        case .credited: break
        case .capped(let excess):
            configuration.logger.warning(
                "ledger clock: more time has passed than the longest downtime; the excess is not credited",
                metadata: ["ledger": "\(path)", "excess.ms": "\(excess)"]
            )
        case .wentBack(let back):
            configuration.logger.warning(
                "ledger clock: the wall clock went back; no time is credited",
                metadata: ["ledger": "\(path)", "back.ms": "\(back)"]
            )
        }
        return clock
    }

    private static func next(_ table: Table, _ transaction: borrowing ReadTransaction) throws -> UInt64 {
        try transaction.withCursor(in: table) { try $0.last().map { $0.integerKey + 1 } ?? 1 }
    }

    private static func bytes(_ words: UInt64...) -> [UInt8] {
        words.reduce(into: []) { $0.appendLittleEndian($1) }
    }
}
