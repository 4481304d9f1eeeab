import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A pipe from a run's standard error, to wait for what it says.
final class ErrorPipe: Sendable {
    private let reader: Int32
    let writer: Int32

    init() throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw SystemError(what: "pipe") }
        (reader, writer) = (ends[0], ends[1])
        _ = fcntl(reader, F_SETFD, FD_CLOEXEC)
    }

    deinit { close(reader) }

    /// Reads until `text` has come so often, or nothing more comes; returns all that came. Once only: this process's
    /// own end for writing is closed.
    func read(until text: String, times: Int) async -> String {
        close(writer)
        let reader = reader
        return await withCheckedContinuation { continuation in
            // A thread of its own: it blocks.
            DispatchQueue(label: "orders.errors").async {
                var all: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 4096)
                while String(decoding: all, as: UTF8.self).split(separator: text).count <= times {
                    let count = buffer.withUnsafeMutableBytes { Self.read(reader, $0) }
                    if count <= 0 { break }
                    all += buffer[..<count]
                }
                continuation.resume(returning: String(decoding: all, as: UTF8.self))
            }
        }
    }

    private static func read(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            #if canImport(Glibc)
                let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            #elseif canImport(Musl)
                let count = Musl.read(descriptor, buffer.baseAddress, buffer.count)
            #else
                let count = Darwin.read(descriptor, buffer.baseAddress, buffer.count)
            #endif
            if count >= 0 || errno != EINTR { return count }
        }
    }
}
