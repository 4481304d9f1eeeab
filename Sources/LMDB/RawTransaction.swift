import CLMDB
import Synchronization

/// What both kinds of transaction share: LMDB's own transaction. Only this module makes and uses it.
public struct RawTransaction {
    let handle: OpaquePointer
    /// Whoever runs the transaction holds the environment: no reference is counted per operation.
    unowned(unsafe) let environment: Environment
    /// Absent in a read transaction.
    let state: UnsafeMutablePointer<WriteState>?
}

extension UnsafeRawBufferPointer {
    init(_ value: MDB_val) { self.init(start: value.mv_data, count: value.mv_size) }
}

extension MDB_val {
    /// LMDB does not write through the pointers it is given here.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}

extension RawTransaction {
    @usableFromInline
    func get(_ key: UnsafeRawBufferPointer, in table: Table) throws -> UnsafeRawBufferPointer? {
        try check(key, table, "get")
        var key = MDB_val(key)
        var value = MDB_val()
        let number = mdb_get(handle, table.number, &key, &value)
        if number == 0 { return UnsafeRawBufferPointer(value) }
        if number == MDB_NOTFOUND { return nil }
        throw environment.failure(number, "get")
    }

    func count(_ table: Table) throws -> Int {
        var statistics = MDB_stat()
        let number = mdb_stat(handle, table.number, &statistics)
        guard number == 0 else { throw environment.failure(number, "count") }
        return statistics.ms_entries
    }

    func openCursor(in table: Table) throws -> OpaquePointer {
        var opened: OpaquePointer?
        let number = mdb_cursor_open(handle, table.number, &opened)
        guard number == 0, let cursor = opened else { throw environment.failure(number, "open a cursor") }
        return cursor
    }

    /// The table, when it is there in this transaction's view.
    func table(_ name: String, keys: KeyOrder) throws -> Table? {
        if let (_, table) = state?.pointee.opened.last(where: { $0.name == name }) {
            try table.check(keys, name: name, environment: environment)
            return table
        }
        guard let table = environment.tables.withLock({ $0.byName[name] }) else { return nil }
        var flags: UInt32 = 0
        // LMDB does not know the handle in a view older than the table.
        guard mdb_dbi_flags(handle, table.number, &flags) == 0 else { return nil }
        try table.check(keys, name: name, environment: environment)
        return table
    }

    @inline(__always)
    func check(_ key: UnsafeRawBufferPointer, _ table: Table, _ operation: StaticString) throws {
        if key.isEmpty || (table.keys == .integers && key.count != 8) { throw unfit(key, operation) }
    }

    @inline(__always)
    func checkIntegers(_ table: Table, _ operation: StaticString) throws {
        if table.keys != .integers { throw unfitInteger(operation) }
    }

    @inline(never)
    private func unfit(_ key: UnsafeRawBufferPointer, _ operation: StaticString) -> LMDBError {
        key.isEmpty
            ? error(.keyEmpty, operation, "a key has at least one byte")
            : error(.invalid, operation, "the table's keys are integers of 8 bytes, not of \(key.count)")
    }

    @inline(never)
    private func unfitInteger(_ operation: StaticString) -> LMDBError {
        error(.invalid, operation, "the table's keys are bytes, not integers")
    }

    func error(_ code: LMDBError.Code, _ operation: StaticString, _ detail: String) -> LMDBError {
        LMDBError(code, operation: "\(operation)", path: environment.path, detail: detail)
    }
}
