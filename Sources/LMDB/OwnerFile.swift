import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The `owner` file beside an environment's data: locked as long as it is held, so that one process writes at a time.
///
/// It holds that process's number, for people. The lock ends with the process, however that ends.
public final class OwnerFile: Sendable {
    private let descriptor: Mutex<Int32?>
    private let process: Int32

    /// Takes the lock.
    ///
    /// - Parameter directory: The environment's folder, which exists.
    /// - Throws: ``LMDBError/Code/alreadyOpen`` when another process, or another part of this one, holds it; what the
    ///   operating system says otherwise.
    public init(in directory: String) throws(LMDBError) {
        let path = "\(directory)/owner"
        let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw LMDBError(returned: errno, operation: "open", path: path) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            defer { _ = Self.close(opened) }
            guard number == EWOULDBLOCK else { throw LMDBError(returned: number, operation: "lock", path: path) }
            let detail = "process \(Self.text(of: opened)) has it open for writing: one process at a time"
            throw LMDBError(.alreadyOpen, operation: "open", path: directory, detail: detail)
        }
        let text = Array("\(getpid())\n".utf8)
        // For the message above; the lock does not depend on it.
        if ftruncate(opened, 0) == 0 { _ = pwrite(opened, text, text.count, 0) }
        descriptor = Mutex(opened)
        process = getpid()
    }

    /// Takes the lock where there is an environment already; nil where there is none.
    ///
    /// - Parameter directory: The environment's folder.
    /// - Throws: As ``init(in:)``.
    public convenience init?(ofExisting directory: String) throws(LMDBError) {
        guard let data = try? Platform.status(of: "\(directory)/data.mdb"), data.kind == .other, data.size > 0 else {
            return nil
        }
        try self.init(in: directory)
    }

    deinit { release() }

    /// Lets another process open the environment. Idempotent.
    public func release() {
        descriptor.withLock { descriptor in
            guard let opened = descriptor else { return }
            // A child that is just being started holds the file too: closing alone would leave it the lock.
            if process == getpid() { _ = flock(opened, LOCK_UN) }
            _ = Self.close(opened)
            descriptor = nil
        }
    }

    private static func close(_ descriptor: Int32) -> Int32 {
        #if canImport(Glibc)
            Glibc.close(descriptor)
        #elseif canImport(Musl)
            Musl.close(descriptor)
        #else
            Darwin.close(descriptor)
        #endif
    }

    private static func text(of descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(count, 0)).prefix { $0 != 0x0A }, as: UTF8.self)
    }
}
