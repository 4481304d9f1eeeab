#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What the process takes of the machine's memory.
enum Memory {
    /// Anonymous resident memory in bytes: what is the process's own, without the pages of mapped files.
    static var anonymousBytes: Int {
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, 256, file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix("RssAnon:") {
                return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) * 1024
            }
        }
        return 0
    }
}
