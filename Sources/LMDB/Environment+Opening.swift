import CLMDB

extension Environment {
    /// Opens the environment in a folder, and creates it when the folder is absent or empty.
    ///
    /// A creation happens beside the folder and takes its name at the end, so that a crash leaves the whole environment
    /// or none: see ``Configuration/Access/readWrite``. Slots of readers that died are cleared.
    ///
    /// - Parameters:
    ///   - directory: The folder. Its parent must exist.
    ///   - configuration: Sizes, durability and access.
    ///   - initialize: Runs in the first transaction of a newly created environment, and is part of the creation: when
    ///     it throws, nothing is created. An environment that exists does not run it.
    /// - Throws: ``LMDBError``, or what `initialize` throws.
    public static func open(
        at directory: String,
        configuration: Configuration = .init(),
        initialize: (borrowing WriteTransaction) throws -> Void = { _ in }
    ) throws -> Environment {
        do {
            let path = try absolutePath(directory)
            guard try isCreated(path) else {
                guard configuration.access == .readWrite else { throw PlatformError(number: Platform.absent) }
                try create(at: path, configuration: configuration, initialize: initialize)
                return try openExisting(at: path, configuration: configuration)
            }
            return try openExisting(at: path, configuration: configuration)
        } catch let error as PlatformError {
            throw LMDBError(error, operation: "open", path: directory)
        }
    }

    static func openExisting(at path: String, configuration: Configuration) throws -> Environment {
        let identity = try Platform.status(of: path).identity
        // Before any file is touched: closing any descriptor of the lock file drops an open environment's locks.
        try Registry.register(identity, path: path)
        let handle: OpaquePointer
        do {
            // LMDB may not survive what is found.
            if configuration.checksPages { try PageCheck.run(on: path + "/data.mdb") }
            handle = try openHandle(at: path, configuration)
        } catch {
            Registry.unregister(identity)
            throw error
        }
        // From here on the environment unregisters itself when it goes.
        let environment = Environment(handle: handle, path: path, identity: identity, configuration: configuration)
        environment.clearStaleReaders()
        try environment.loadTables()
        return environment
    }

    private static func openHandle(at path: String, _ configuration: Configuration) throws -> OpaquePointer {
        let readers = try allocateLockFile(at: path, readers: configuration.maximumReaders)
        var created: OpaquePointer?
        var number = mdb_env_create(&created)
        guard number == 0, let handle = created else {
            throw LMDBError(returned: number, operation: "open", path: path)
        }

        // Reader slots belong to transactions, not to threads: tasks move between threads.
        var flags = UInt32(MDB_NOTLS)
        if configuration.durability == .unsynced { flags |= UInt32(MDB_NOSYNC) }
        if configuration.access == .readOnly { flags |= UInt32(MDB_RDONLY) }

        number = mdb_env_set_mapsize(handle, configuration.mapSize)
        if number == 0 { number = mdb_env_set_maxdbs(handle, UInt32(clamping: configuration.maximumTables)) }
        if number == 0 { number = mdb_env_set_maxreaders(handle, UInt32(clamping: readers)) }
        if number == 0 { number = mdb_env_open(handle, path, flags, 0o600) }
        guard number == 0 else {
            // Also after a failed open, or the handle leaks.
            mdb_env_close(handle)
            throw LMDBError(returned: number, operation: "open", path: path)
        }
        return handle
    }

    /// False when the folder is absent or empty.
    private static func isCreated(_ path: String) throws -> Bool {
        switch try Platform.status(of: path).kind {
        case .absent: return false
        case .other:
            throw LMDBError(.invalid, operation: "open", path: path, detail: "not a folder: an environment is a folder")
        case .folder: break
        }
        let data = try Platform.status(of: path + "/data.mdb")
        if data.kind == .other && data.size > 0 { return true }
        guard try Platform.names(in: path).isEmpty else {
            let detail = "not an LMDB environment: the folder has files, but no data.mdb with content"
            throw LMDBError(.invalid, operation: "open", path: path, detail: detail)
        }
        return false
    }

    private static func absolutePath(_ directory: String) throws -> String {
        if try Platform.status(of: directory).kind != .absent { return try Platform.realPath(directory) }
        var trimmed = Substring(directory)
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return try Platform.realPath(".") + "/" + trimmed }
        let parent = slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
        let name = trimmed[trimmed.index(after: slash)...]
        let resolved = try Platform.realPath(parent)
        return resolved == "/" ? "/" + name : resolved + "/" + name
    }
}

extension Environment {
    /// The bytes of one reader's slot, and of each of the two headers before the first slot.
    private static let slotSize = 64

    /// Gives the lock file its place on the disk, and answers how many readers it has room for.
    ///
    /// LMDB writes to this file through a map: were it sparse, a full disk would end the process with SIGBUS. An
    /// existing file keeps its size, as other processes may have mapped it as it is.
    private static func allocateLockFile(at path: String, readers: Int) throws -> Int {
        let file = try OpenFile(creating: path + "/lock.mdb")
        let size = try file.status.size
        guard size == 0 else { return max(size / slotSize - 2, 1) }
        let slots = max(readers, 1)
        try file.allocate((slots + 2) * slotSize)
        return slots
    }
}
