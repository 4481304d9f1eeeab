#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Standard output or standard error.
struct Terminal: Sendable {
    static let output = Terminal(descriptor: 1)
    static let error = Terminal(descriptor: 2)

    private let descriptor: Int32

    /// Whether a person is looking at it.
    var isInteractive: Bool { isatty(descriptor) == 1 }

    /// Writes all of the text. What cannot be written has nobody to read it, nor to be told.
    func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while let base = rest.baseAddress, !rest.isEmpty {
                let written = systemWrite(descriptor, base, rest.count)
                if written < 0 {
                    guard errno == EINTR || errno == EAGAIN else { return }
                    continue
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            }
        }
    }
}

/// Lines on their way to standard output, in blocks.
struct LineWriter: ~Copyable {
    private var pending = ""

    mutating func write(_ line: String) {
        pending += line
        pending += "\n"
        if pending.utf8.count > 1 << 16 { flush() }
    }

    mutating func flush() {
        Terminal.output.write(pending)
        pending = ""
    }
}
