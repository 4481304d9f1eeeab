#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The calls to the operating system that this module makes, each under one name on every platform.
package enum Platform {
    static let noSpace = ENOSPC
    static let inputOutput = EIO
    static let diskFull = [ENOSPC, EDQUOT]
    static let denied = [EACCES, EPERM, EROFS]
    static let absent = ENOENT
    static let invalid = EINVAL
    static let outOfMemory = ENOMEM
    static let noMoreFiles = [EMFILE, ENFILE]
    /// What a rename onto a folder that is not empty answers.
    static let notEmpty = [ENOTEMPTY, EEXIST]
    static let busy = EBUSY

    static var processID: Int32 { getpid() }

    /// A number that no other running thread of this process has. Never zero.
    static var threadID: UInt {
        #if canImport(Glibc)
            return UInt(pthread_self())
        #else
            return UInt(bitPattern: pthread_self())
        #endif
    }

    static func errorText(_ number: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer -> String in
            buffer.initialize(repeating: 0)
            guard let base = buffer.baseAddress else { return "error \(number)" }
            guard strerror_r(number, base, buffer.count) == 0 else { return "error \(number)" }
            return String(cString: base)
        }
    }
}

extension Platform {
    /// Below 0, 0 or above: byte by byte, the shorter first.
    static func compare(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
        let count = min(one.count, other.count)
        let order = count == 0 ? 0 : Int(memcmp(one.baseAddress!, other.baseAddress!, count))
        return order == 0 ? one.count - other.count : order
    }

    enum Kind { case absent, folder, other }

    /// What one folder or file is, beyond its name.
    struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    struct Status {
        let kind: Kind
        let identity: Identity
        let size: Int
    }

    static func status(of path: String) throws(PlatformError) -> Status {
        var record = stat()
        guard stat(path, &record) == 0 else {
            if errno == ENOENT { return Status(kind: .absent, identity: Identity(device: 0, inode: 0), size: 0) }
            throw PlatformError(number: errno)
        }
        return Status(record)
    }

    static func realPath(_ path: String) throws(PlatformError) -> String {
        guard let resolved = realpath(path, nil) else { throw PlatformError(number: errno) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func makeFolder(_ path: String) throws(PlatformError) {
        guard mkdir(path, 0o700) == 0 else { throw PlatformError(number: errno) }
    }

    static func rename(_ old: String, to new: String) throws(PlatformError) {
        #if canImport(Glibc)
            let result = Glibc.rename(old, new)
        #elseif canImport(Musl)
            let result = Musl.rename(old, new)
        #else
            let result = Darwin.rename(old, new)
        #endif
        guard result == 0 else { throw PlatformError(number: errno) }
    }

    /// The names in a folder, without `.` and `..`.
    static func names(in folder: String) throws(PlatformError) -> [String] {
        guard let stream = opendir(folder) else { throw PlatformError(number: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 1) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a folder that holds files only. What is gone already is no error.
    static func removeFolder(_ path: String) throws(PlatformError) {
        for name in try names(in: path) {
            guard unlink(path + "/" + name) == 0 || errno == ENOENT else { throw PlatformError(number: errno) }
        }
        guard rmdir(path) == 0 || errno == ENOENT else { throw PlatformError(number: errno) }
    }
}

extension Platform.Status {
    fileprivate init(_ record: stat) {
        kind = record.st_mode & S_IFMT == S_IFDIR ? .folder : .other
        identity = Platform.Identity(device: UInt64(truncatingIfNeeded: record.st_dev), inode: UInt64(record.st_ino))
        size = Int(record.st_size)
    }
}

/// An open file or folder, closed with its last use.
struct OpenFile: ~Copyable {
    private let descriptor: Int32

    init(folder path: String) throws(PlatformError) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw PlatformError(number: errno) }
    }

    /// A file that is created, for its owner only, when it is absent.
    init(creating path: String) throws(PlatformError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PlatformError(number: errno) }
    }

    init(reading path: String) throws(PlatformError) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw PlatformError(number: errno) }
    }

    deinit { _ = close(descriptor) }

    /// Calls a closure with the file's bytes, all of them in memory as they are looked at.
    func withMap<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        let size = try status.size
        guard size > 0 else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        guard let start = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED else {
            throw PlatformError(number: errno)
        }
        defer { munmap(start, size) }
        return try body(UnsafeRawBufferPointer(start: start, count: size))
    }

    var status: Platform.Status {
        get throws(PlatformError) {
            var record = stat()
            guard fstat(descriptor, &record) == 0 else { throw PlatformError(number: errno) }
            return Platform.Status(record)
        }
    }

    func synchronize() throws(PlatformError) {
        guard fsync(descriptor) == 0 else { throw PlatformError(number: errno) }
    }

    /// Waits for the whole file's advisory lock. Closing gives it back, and so does the end of the process.
    func lock() throws(PlatformError) {
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw PlatformError(number: errno) }
        }
    }

    func unlock() { _ = flock(descriptor, LOCK_UN) }

    /// Takes the whole file's advisory lock; false when another open file has it.
    func tryLock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    /// Gives every byte up to `size` a place on the disk, so that no later write through a map can find the disk full.
    ///
    /// Nobody else may be writing to the file.
    func allocate(_ size: Int) throws(PlatformError) {
        #if !canImport(Darwin)
            let number = posix_fallocate(descriptor, 0, off_t(size))
            if number == 0 { return }
            // Some file systems cannot, and not every C library makes up for it.
            guard number == EOPNOTSUPP || number == EINVAL else { throw PlatformError(number: number) }
        #endif
        let zeros = [UInt8](repeating: 0, count: size)
        guard pwrite(descriptor, zeros, size, 0) == size else { throw PlatformError(number: errno) }
    }
}

/// An `errno`.
struct PlatformError: Error {
    let number: Int32
}

extension Platform {
    /// Whether the file system of a path has no room for more than a few pages.
    static func isFull(_ path: String) -> Bool {
        var record = statvfs()
        guard statvfs(path, &record) == 0 else { return false }
        return UInt64(record.f_bavail) * UInt64(record.f_frsize) < 1 << 16
    }
}
