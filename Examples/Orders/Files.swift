#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the operating system said.
struct SystemError: Error, CustomStringConvertible {
    let number: Int32
    var description: String { String(cString: strerror(number)) }

    /// Why a `FileManager` call failed: the system's own words, where there are some.
    static func reason(for error: any Error) -> String {
        guard let system = (error as? CocoaError)?.underlying as? POSIXError else { return "\(error)" }
        return "\(SystemError(number: system.code.rawValue))"
    }

    static func check(_ result: Int32) throws(SystemError) -> Int32 {
        guard result >= 0 else { throw SystemError(number: errno) }
        return result
    }
}

/// An open file, closed with its last reference.
final class FileDescriptor: Sendable {
    private let number: Int32
    private let isOwned: Bool

    static let reading = O_RDONLY
    static let standardInput = FileDescriptor(number: 0, isOwned: false)

    private init(number: Int32, isOwned: Bool) {
        self.number = number
        self.isOwned = isOwned
    }

    convenience init(_ path: String, _ flags: Int32) throws(SystemError) {
        self.init(number: try SystemError.check(open(path, flags | O_CLOEXEC, 0o644)), isOwned: true)
    }

    deinit { if isOwned { close(number) } }

    /// Its size in bytes, nil for what has none, such as a pipe. Throws for a folder.
    func size() throws(SystemError) -> Int? {
        var status = stat()
        _ = try SystemError.check(fstat(number, &status))
        if status.st_mode & S_IFMT == S_IFDIR { throw SystemError(number: EISDIR) }
        return status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
    }

    /// The next bytes, at most `count`; none at the end.
    func read(_ count: Int) throws(SystemError) -> [UInt8] {
        var problem: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            repeat {
                let got = systemRead(number, buffer.baseAddress, count)
                initialized = max(got, 0)
                problem = got < 0 ? SystemError(number: errno) : nil
            } while problem?.number == EINTR
        }
        if let problem { throw problem }
        return bytes
    }

    /// Writes a few bytes, at once.
    func write(_ bytes: [UInt8]) throws(SystemError) {
        guard systemWrite(number, bytes, bytes.count) == bytes.count else { throw SystemError(number: errno) }
    }

    /// Returns when what was written, or a folder's list of names, is durable.
    func sync() throws(SystemError) { _ = try SystemError.check(fsync(number)) }
}

enum Files {
    /// Makes a folder that nobody else has.
    static func makeTemporaryFolder(prefix: String) throws(SystemError) -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/\(prefix)XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer -> String? in
            guard let path = buffer.baseAddress.flatMap({ mkdtemp($0) }) else { return nil }
            return String(cString: path)
        }
        guard let made else { throw SystemError(number: errno) }
        return made
    }

    /// Writes a file that is there whole or not at all, whatever happens meanwhile.
    static func writeDurably(
        _ text: String,
        to name: String,
        by temporaryName: String,
        in folder: String
    ) throws(SystemError) {
        let file = try FileDescriptor("\(folder)/\(temporaryName)", O_WRONLY | O_CREAT | O_TRUNC)
        try file.write(Array(text.utf8))
        try file.sync()
        _ = try SystemError.check(rename("\(folder)/\(temporaryName)", "\(folder)/\(name)"))
        try FileDescriptor(folder, O_RDONLY).sync()
    }
}

// The system's calls, from within methods of the same names.
func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, bytes, count)
}
