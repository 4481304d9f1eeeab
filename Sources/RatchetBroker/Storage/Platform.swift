#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the broker asks of the operating system.
enum Platform {
    /// Milliseconds since 1970.
    static var wallClockMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// A new, empty directory that only this user can enter, below `TMPDIR` or `/tmp`.
    static func makeTemporaryDirectory() throws(BrokerError) -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/ratchet-broker-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw failure("create a directory in \(parent)") }
        return template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    /// Removes a directory and the files in it; what cannot be removed stays.
    static func removeDirectory(_ path: String) {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { unlink("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }

    static func failure(_ operation: String) -> BrokerError {
        BrokerError(.storage, "\(operation): \(String(cString: strerror(errno)))")
    }
}

/// The `owner` file of a broker's directory: locked as long as this value lives, so that one process has it at a time.
/// Holds the number of that process. The lock ends with the process, however it ends.
struct OwnerFile: ~Copyable, Sendable {
    private let descriptor: Int32

    /// Throws ``BrokerError/Code/inUse`` when another process holds it.
    init(in directory: String) throws(BrokerError) {
        let path = "\(directory)/owner"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Platform.failure("open \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let error =
                errno == EWOULDBLOCK
                ? BrokerError(
                    .inUse,
                    "the broker in \(directory) is open in process \(Self.text(of: descriptor)): one process at a time"
                )
                : Platform.failure("lock \(path)")
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        // For people and for the message above; the lock does not depend on it.
        let text = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
    }

    deinit { close(descriptor) }

    private static func text(of descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(count, 0)).prefix { $0 != 0x0A }, as: UTF8.self)
    }
}
