import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A pipe to a run's standard input that stays open: the run cannot come to its end.
final class InputPipe: Sendable {
    let reader: Int32
    private let writer: Int32

    init() throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw SystemError(what: "pipe") }
        (reader, writer) = (ends[0], ends[1])
        // Or the run itself would hold the end open by which it is fed.
        _ = fcntl(writer, F_SETFD, FD_CLOEXEC)
    }

    deinit {
        close(reader)
        close(writer)
    }

    /// Returns when the run has read the first half of the file, but for what the pipe itself holds.
    func writeHalf(of path: String) async throws {
        let bytes = try Data(contentsOf: URL(filePath: path))
        let half = Array(bytes.prefix(bytes.count / 2))
        let writer = writer
        let number: Int32 = await withCheckedContinuation { continuation in
            // A thread of its own: it blocks.
            DispatchQueue(label: "orders.feed").async {
                var rest = half[...]
                while !rest.isEmpty {
                    let written = rest.withUnsafeBytes { write(writer, $0.baseAddress, $0.count) }
                    if written < 0, errno != EINTR { return continuation.resume(returning: errno) }
                    rest = rest.dropFirst(max(written, 0))
                }
                continuation.resume(returning: 0)
            }
        }
        guard number == 0 else { throw SystemError(number: number, what: "pipe") }
    }
}
