#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A pipe with a place in the file system: it ends when nobody lives who writes to it.
final class NamedPipe: Sendable {
    private struct Unusable: Error { var number: Int32 }

    private let descriptor: Int32

    init(at path: String) throws {
        guard mkfifo(path, 0o600) == 0 else { throw Unusable(number: errno) }
        // Without waiting for a writer, and so that none has to wait.
        descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unusable(number: errno) }
    }

    deinit { close(descriptor) }

    /// What was written, once the last writer is gone.
    func readToEnd() -> String {
        _ = fcntl(descriptor, F_SETFL, 0)
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while case let count = read(descriptor, &piece, piece.count), count > 0 { text += piece[..<count] }
        return String(decoding: text, as: UTF8.self)
    }
}
