#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file that is only ever added to.
struct AppendedFile: ~Copyable, Sendable {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(HistoryError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw HistoryError(errno, "open", path) }
    }

    deinit { _ = close(descriptor) }

    func endsWithin(line separator: UInt8) throws(HistoryError) -> Bool {
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw HistoryError(errno, "seek", path) }
        guard end > 0 else { return false }
        var last: UInt8 = 0
        guard pread(descriptor, &last, 1, end - 1) == 1 else { throw HistoryError(errno, "read", path) }
        return last != separator
    }

    /// Adds all bytes by one call. What a call leaves out is an error: the rest would not follow it for sure.
    func write(_ bytes: [UInt8]) throws(HistoryError) {
        while true {
            #if canImport(Glibc)
                let count = Glibc.write(descriptor, bytes, bytes.count)
            #elseif canImport(Musl)
                let count = Musl.write(descriptor, bytes, bytes.count)
            #else
                let count = Darwin.write(descriptor, bytes, bytes.count)
            #endif
            if count == bytes.count { return }
            if count < 0, errno == EINTR { continue }
            guard count < 0 else {
                throw HistoryError(
                    .file,
                    "\(path): only \(count) of \(bytes.count) bytes were written; is the disk full?"
                )
            }
            throw HistoryError(errno, "write", path)
        }
    }

    func synchronize() throws(HistoryError) {
        guard fsync(descriptor) == 0 else { throw HistoryError(errno, "sync", path) }
    }
}

/// A file that is read from its beginning.
struct ReadFile: ~Copyable {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(HistoryError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw HistoryError(errno, "open", path) }
    }

    deinit { _ = close(descriptor) }

    /// Fills `piece` as far as a call does; 0 at the end.
    func read(into piece: inout [UInt8]) throws(HistoryError) -> Int {
        while true {
            #if canImport(Glibc)
                let count = Glibc.read(descriptor, &piece, piece.count)
            #elseif canImport(Musl)
                let count = Musl.read(descriptor, &piece, piece.count)
            #else
                let count = Darwin.read(descriptor, &piece, piece.count)
            #endif
            if count >= 0 { return count }
            guard errno == EINTR else { throw HistoryError(errno, "read", path) }
        }
    }
}

extension HistoryError {
    fileprivate init(_ number: Int32, _ operation: String, _ path: String) {
        self.init(.file, "\(path): cannot \(operation): \(String(cString: strerror(number)))")
    }
}
