import CLMDB

extension RawTransaction {
    @usableFromInline
    func put(
        _ value: UnsafeRawBufferPointer,
        for key: UnsafeRawBufferPointer,
        in table: Table,
        _ mode: PutMode
    ) throws -> Bool {
        try check(key, table, "put")
        state?.pointee.marks &+= 1
        var key = MDB_val(key)
        var value = MDB_val(value)
        return try wasPut(mdb_put(handle, table.number, &key, &value, mode.flags), mode, "put")
    }

    func reserve(
        _ size: Int,
        for key: UnsafeRawBufferPointer,
        in table: Table,
        _ mode: PutMode,
        _ fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws -> Bool {
        try check(key, table, "reserve")
        state?.pointee.marks &+= 1
        var key = MDB_val(key)
        var value = MDB_val(mv_size: size, mv_data: nil)
        let number = mdb_put(handle, table.number, &key, &value, mode.flags | UInt32(MDB_RESERVE))
        guard try wasPut(number, mode, "reserve") else { return false }
        do {
            try fill(UnsafeMutableRawBufferPointer(start: value.mv_data, count: size))
        } catch {
            state?.pointee.isBroken = true
            throw error
        }
        return true
    }

    @usableFromInline
    func delete(_ key: UnsafeRawBufferPointer, in table: Table) throws -> Bool {
        try check(key, table, "delete")
        state?.pointee.marks &+= 1
        var key = MDB_val(key)
        let number = mdb_del(handle, table.number, &key, nil)
        if number == 0 { return true }
        if number == MDB_NOTFOUND { return false }
        throw environment.changeFailure(number, "delete")
    }

    func clear(_ table: Table) throws {
        state?.pointee.marks &+= 1
        let number = mdb_drop(handle, table.number, 0)
        guard number == 0 else { throw environment.changeFailure(number, "clear") }
    }

    func createTable(_ name: String, keys: KeyOrder, create: Bool) throws -> Table {
        if let table = try table(name, keys: keys) { return table }
        var number: UInt32 = 0
        var flags: UInt32 = create ? UInt32(MDB_CREATE) : 0
        if keys == .integers { flags |= UInt32(MDB_INTEGERKEY) }
        let returned = mdb_dbi_open(handle, name, flags, &number)
        guard returned == 0 else { throw environment.changeFailure(returned, "open table \(name)") }
        let table = try Table(number: number, transaction: handle, name: name, environment: environment)
        state?.pointee.opened.append((name, table))
        state?.pointee.marks &+= 1
        try table.check(keys, name: name, environment: environment)
        return table
    }

    @inline(__always)
    private func wasPut(_ number: Int32, _ mode: PutMode, _ operation: StaticString) throws -> Bool {
        if number == 0 { return true }
        if number == MDB_KEYEXIST && mode == .insert { return false }
        throw environment.changeFailure(number, "\(operation)")
    }
}

extension PutMode {
    fileprivate var flags: UInt32 {
        switch self {
        case .replace: 0
        case .append: UInt32(MDB_APPEND)
        case .insert: UInt32(MDB_NOOVERWRITE)
        }
    }
}

/// Where a row was found, or would be.
@usableFromInline
struct RowPosition {
    /// The row's value, or nil when the key is absent. Valid until the next write.
    @usableFromInline
    let value: UnsafeRawBufferPointer?
    fileprivate let cursor: OpaquePointer
    fileprivate let mark: UInt
}

extension RawTransaction {
    /// Finds a row in order to change it: the change does not have to search again.
    @usableFromInline
    func position(of key: UnsafeRawBufferPointer, in table: Table) throws -> RowPosition {
        try check(key, table, "update")
        let (cursor, mark) = try updateCursor(in: table)
        var key = MDB_val(key)
        var value = MDB_val()
        let number = mdb_cursor_get(cursor, &key, &value, MDB_SET)
        guard number == 0 || number == MDB_NOTFOUND else { throw environment.failure(number, "update") }
        let found = number == 0 ? UnsafeRawBufferPointer(value) : nil
        return RowPosition(value: found, cursor: cursor, mark: mark)
    }

    /// Writes the row that was looked for, wherever it is by now.
    @usableFromInline
    func put(
        _ value: UnsafeRawBufferPointer,
        at position: RowPosition,
        for key: UnsafeRawBufferPointer,
        in table: Table
    ) throws {
        guard let state, state.pointee.marks == position.mark else {
            // Something was changed meanwhile: the cursor may be on another row, or gone.
            _ = try put(value, for: key, in: table, .replace)
            return
        }
        state.pointee.marks &+= 1
        var key = MDB_val(key)
        var bytes = MDB_val(value)
        let flags = position.value == nil ? 0 : UInt32(MDB_CURRENT)
        let number = mdb_cursor_put(position.cursor, &key, &bytes, flags)
        guard number == 0 else { throw environment.changeFailure(number, "update") }
    }

    private func updateCursor(in table: Table) throws -> (OpaquePointer, mark: UInt) {
        guard let state else { throw error(.permissionDenied, "update", "a read transaction cannot write") }
        state.pointee.marks &+= 1
        let mark = state.pointee.marks
        let index = Int(table.number)
        if let cursor = state.pointee.cursors[index] { return (cursor, mark) }
        let cursor = try openCursor(in: table)
        state.pointee.cursors[index] = cursor
        state.pointee.cursorOwners.append(table.number)
        return (cursor, mark)
    }
}
