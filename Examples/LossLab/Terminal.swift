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

    /// Writes all of the text, by one call if the system takes it: when this returns somebody else has it. What cannot
    /// be written has nobody to read it, nor to be told.
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

/// This process, as the operating system sees it.
enum OwnProcess {
    /// Ends it as `kill -9` does: nothing is written, closed or told any more.
    static func die() -> Never {
        kill(getpid(), SIGKILL)
        standStill()
    }

    /// Keeps the thread for ever.
    static func standStill() -> Never {
        while true { pause() }
    }

    /// The path of its program.
    static var program: String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count)
        // Only Linux has it; elsewhere the program is called by its path.
        guard count > 0 else { return CommandLine.arguments[0] }
        return String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

// The system's call, from within a method of the same name.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
