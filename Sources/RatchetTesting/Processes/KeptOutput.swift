import Subprocess

/// What a program writes to one of its outputs: all of it is read, so that it can go on, and a bounded part is kept.
struct KeptOutput: Sendable {
    private let limit: Int
    private let keepsFirst: Bool
    private var bytes: [UInt8] = []
    /// How many bytes it wrote.
    private(set) var written = 0

    init(first limit: Int) { (self.limit, keepsFirst) = (limit, true) }
    init(last limit: Int) { (self.limit, keepsFirst) = (limit, false) }

    /// How many bytes of it were not kept.
    var dropped: Int { written - bytes.count }
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// This, and all that comes: until the program ends, or its task is cancelled.
    consuming func reading(_ output: SubprocessOutputSequence) async throws -> KeptOutput {
        for try await piece in output {
            piece.withUnsafeBytes { take($0) }
            // Somebody else may go on writing.
            if Task.isCancelled { break }
        }
        return self
    }

    private mutating func take(_ piece: UnsafeRawBufferPointer) {
        written += piece.count
        if keepsFirst {
            bytes += piece.prefix(limit - bytes.count)
        } else {
            bytes += piece.suffix(limit)
            bytes.removeFirst(max(0, bytes.count - limit))
        }
    }
}
