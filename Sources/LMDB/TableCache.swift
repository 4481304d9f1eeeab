import CLMDB
import Synchronization

/// The tables that committed transactions opened.
///
/// LMDB allows only one transaction at a time to open handles. So all are opened when the environment is, and later
/// ones by write transactions, which exclude each other; a read transaction only looks here.
struct TableCache {
    var byName: [String: Table] = [:]
    /// The last commit whose tables are all here. Only counts where another process writes.
    var transaction = -1
}

extension Environment {
    /// The names of the tables that are there and known, sorted.
    public var tableNames: [String] { tables.withLock { $0.byName.keys.sorted() } }

    /// Opens the handles of all tables that exist and have none yet.
    ///
    /// An environment that is opened for reading calls this before each transaction, as another process creates its
    /// tables.
    func loadTables() throws(LMDBError) {
        let error = tables.withLock { cache -> LMDBError? in
            do throws(LMDBError) { try load(&cache) } catch { return error }
            return nil
        }
        if let error { throw error }
    }

    private func load(_ cache: inout TableCache) throws(LMDBError) {
        var info = MDB_envinfo()
        mdb_env_info(handle, &info)
        guard info.me_last_txnid != cache.transaction else { return }

        let transaction = try beginRead("open tables")
        var found: [String: Table] = [:]
        do throws(LMDBError) {
            for name in try tableNames(transaction) where cache.byName[name] == nil {
                var table: UInt32 = 0
                let number = mdb_dbi_open(transaction, name, 0, &table)
                // A plain row of the unnamed table, which only other software writes.
                if number == MDB_INCOMPATIBLE { continue }
                guard number == 0 else { throw failure(number, "open table \(name)") }
                found[name] = try Table(number: table, transaction: transaction, name: name, environment: self)
            }
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        // Committing a read transaction keeps the handles it opened.
        let number = mdb_txn_commit(transaction)
        guard number == 0 else { throw failure(number, "open tables") }
        cache.byName.merge(found) { _, new in new }
        cache.transaction = info.me_last_txnid
    }

    private func tableNames(_ transaction: OpaquePointer) throws(LMDBError) -> [String] {
        var unnamed: UInt32 = 0
        var opened: OpaquePointer?
        var number = mdb_dbi_open(transaction, nil, 0, &unnamed)
        if number == 0 { number = mdb_cursor_open(transaction, unnamed, &opened) }
        guard number == 0, let cursor = opened else { throw failure(number, "open tables") }
        defer { mdb_cursor_close(cursor) }

        var names: [String] = []
        var key = MDB_val()
        number = mdb_cursor_get(cursor, &key, nil, MDB_FIRST)
        while number == 0 {
            names.append(String(decoding: UnsafeRawBufferPointer(key), as: UTF8.self))
            number = mdb_cursor_get(cursor, &key, nil, MDB_NEXT)
        }
        guard number == MDB_NOTFOUND else { throw failure(number, "open tables") }
        return names
    }
}

extension Table {
    /// Reads how the open table compares its keys.
    init(number: UInt32, transaction: OpaquePointer, name: String, environment: Environment) throws(LMDBError) {
        var flags: UInt32 = 0
        let returned = mdb_dbi_flags(transaction, number, &flags)
        guard returned == 0 else { throw environment.failure(returned, "open table \(name)") }
        self.init(keys: flags & UInt32(MDB_INTEGERKEY) == 0 ? .bytes : .integers, number: number)
    }

    func check(_ keys: KeyOrder, name: String, environment: Environment) throws(LMDBError) {
        guard self.keys != keys else { return }
        let detail = "the table's keys are \(self.keys), not \(keys)"
        throw LMDBError(.invalid, operation: "open table \(name)", path: environment.path, detail: detail)
    }
}
