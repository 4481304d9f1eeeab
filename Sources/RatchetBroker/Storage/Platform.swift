#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the broker asks of the operating system.
enum Platform {
    /// A new, empty directory that only this user can enter, below `TMPDIR` or `/tmp`.
    static func makeTemporaryDirectory() throws(BrokerError) -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/ratchet-broker-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw failure("create a directory in \(parent)") }
        return template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    /// Removes a directory and all that is in it; what cannot be removed stays.
    static func removeDirectory(_ path: String) {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != "." && name != ".." else { continue }
            let isDirectory = entry.pointee.d_type == UInt8(DT_DIR)
            if isDirectory { removeDirectory("\(path)/\(name)") } else { unlink("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }

    static func failure(_ operation: String) -> BrokerError {
        BrokerError(.storage, "\(operation): \(String(cString: strerror(errno)))")
    }
}
