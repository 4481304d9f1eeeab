import CLMDB

extension Environment {
    /// Creates an environment that appears under its name whole or not at all.
    ///
    /// It is made in a sibling folder, flushed, and then renamed. The sibling of a creation that was interrupted is
    /// removed by the next one; that of a creation which still runs, in any process, is told by its lock.
    static func create(
        at path: String,
        configuration: Configuration,
        initialize: (borrowing WriteTransaction) throws -> Void
    ) throws {
        let (parent, name) = split(path)
        let prefix = ".\(name).creating-"
        let parentFolder = try OpenFile(folder: parent)
        // Folders appear, are locked and get their final name under the parent's lock: so what is there unlocked is
        // abandoned.
        try parentFolder.lock()
        for leftover in try Platform.names(in: parent) where leftover.hasPrefix(prefix) {
            try removeIfAbandoned(parent + "/" + leftover)
        }
        // Under the lock no other creation can take the same number.
        let taken = try Platform.names(in: parent)
        var number = 1
        while taken.contains(prefix + String(number)) { number += 1 }
        let temporary = parent + "/" + prefix + String(number)
        try Platform.makeFolder(temporary)
        let folder = try OpenFile(folder: temporary)
        try folder.lock()
        parentFolder.unlock()

        do {
            Registry.forget(try folder.status.identity)
            try fill(temporary, configuration: configuration, initialize: initialize)
            try folder.synchronize()
            #if CrashPoints
                CrashPoint.creationFilled.reach()
            #endif
            try parentFolder.lock()
            try move(temporary, to: path)
            #if CrashPoints
                CrashPoint.creationNamed.reach()
            #endif
            try parentFolder.synchronize()
        } catch {
            // The error that counts is the first one; what this leaves behind the next creation removes.
            try? Platform.removeFolder(temporary)
            throw error
        }
    }

    private static func fill(
        _ temporary: String,
        configuration: Configuration,
        initialize: (borrowing WriteTransaction) throws -> Void
    ) throws {
        var configuration = configuration
        // There is no file yet.
        configuration.checksPages = false
        let environment = try openExisting(at: temporary, configuration: configuration)
        defer { environment.close() }
        try environment.write(initialize)
        // A transaction that wrote nothing has flushed nothing: the file's two head pages are still in the cache only.
        try OpenFile(creating: temporary + "/data.mdb").synchronize()
    }

    private static func move(_ temporary: String, to path: String) throws {
        do {
            try Platform.rename(temporary, to: path)
        } catch  where Platform.notEmpty.contains(error.number) {
            // Somebody else created it meanwhile: theirs is as good.
            try Platform.removeFolder(temporary)
        } catch  where error.number == Platform.busy {
            let detail = "the folder is a mount point, which cannot be replaced: name a folder inside it"
            throw LMDBError(.invalid, operation: "create", path: path, detail: detail)
        }
    }

    private static func removeIfAbandoned(_ path: String) throws {
        let folder = try OpenFile(folder: path)
        if folder.tryLock() { try Platform.removeFolder(path) }
    }

    private static func split(_ path: String) -> (parent: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let parent = slash == path.startIndex ? "/" : String(path[..<slash])
        return (parent, String(path[path.index(after: slash)...]))
    }
}
