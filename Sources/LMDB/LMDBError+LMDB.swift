import CLMDB

extension LMDBError {
    /// An error from what an LMDB function returned: one of LMDB's own numbers, or an `errno`.
    init(returned number: Int32, operation: String, path: String) {
        let (code, detail) = Self.meaning(of: number)
        self.init(code, operation: operation, path: path, detail: detail)
    }

    init(_ error: PlatformError, operation: String, path: String) {
        self.init(returned: error.number, operation: operation, path: path)
    }

    /// True for what a failed write leaves behind: the pages on disk may differ from those in the cache.
    ///
    /// - Parameter number: What a commit, a sync or a change returned.
    static func poisons(_ number: Int32, duringCommit: Bool) -> Bool {
        switch number {
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_PANIC: true
        // A change can write too, when it spills pages; these three it answers without having written.
        case Platform.invalid, Platform.outOfMemory: duringCommit
        case _ where Platform.denied.contains(number): duringCommit
        default: number > 0
        }
    }

    private static func meaning(of number: Int32) -> (Code, String) {
        switch number {
        case MDB_MAP_FULL: (.mapFull, "the memory map is full: open with a larger mapSize, or delete first")
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_PANIC:
            (.corrupted, "\(text(number)): restore the environment from a copy")
        case MDB_VERSION_MISMATCH: (.versionMismatch, "the files are in another version of LMDB's format")
        case MDB_INVALID: (.invalid, "data.mdb is not an LMDB file")
        case MDB_DBS_FULL: (.tablesFull, "no table can be added: raise maximumTables")
        case MDB_READERS_FULL:
            (.readersFull, "all reader slots are taken: end reads sooner, or create with more readers")
        case MDB_MAP_RESIZED: (.invalid, "another process uses a larger map: open with its mapSize")
        case MDB_TXN_FULL, MDB_CURSOR_FULL, MDB_PAGE_FULL:
            (.transactionFull, "\(text(number)): write in smaller transactions")
        case MDB_BAD_TXN, MDB_BAD_DBI, MDB_BAD_RSLOT:
            (.badTransaction, "the transaction failed before, or a nested one is open: end it and begin again")
        case MDB_BAD_VALSIZE: (.keyTooLarge, "a key has at most 511 bytes")
        case MDB_KEYEXIST: (.keyOutOfOrder, "an appended key must be above the table's last one")
        case MDB_NOTFOUND: (.absent, "there is nothing of that name or key")
        case MDB_INCOMPATIBLE: (.invalid, "the table was created with another key order, or the name is not a table's")
        default: (systemCode(number), systemText(number))
        }
    }

    private static func systemCode(_ number: Int32) -> Code {
        switch number {
        case _ where Platform.diskFull.contains(number): .diskFull
        case _ where Platform.denied.contains(number): .permissionDenied
        case _ where Platform.noMoreFiles.contains(number): .outOfMemory
        case Platform.outOfMemory: .outOfMemory
        case Platform.absent: .absent
        case Platform.invalid: .invalid
        default: .io
        }
    }

    private static func systemText(_ number: Int32) -> String {
        switch systemCode(number) {
        case .diskFull: "\(Platform.errorText(number)): make room"
        case .permissionDenied: "\(Platform.errorText(number)): check who owns the folder and how it was opened"
        case .outOfMemory: "\(Platform.errorText(number)): lower mapSize, or open fewer environments"
        default: Platform.errorText(number)
        }
    }

    private static func text(_ number: Int32) -> String { String(cString: mdb_strerror(number)) }
}
