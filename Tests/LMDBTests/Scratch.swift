import LMDB
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Calls a closure with the path of a new, empty folder, and removes the folder afterwards.
func withScratch(_ body: (String) async throws -> Void) async throws {
    let path = try makeScratch()
    defer { removeTree(path) }
    try await body(path)
}

/// Calls a closure with a new environment, in a folder of its own that is removed afterwards.
func withEnvironment(
    _ configuration: Environment.Configuration = .small,
    _ body: (Environment) async throws -> Void
) async throws {
    try await withScratch { scratch in
        let environment = try Environment.open(at: scratch + "/environment", configuration: configuration)
        try await body(environment)
    }
}

/// Makes an empty folder whose path no other test has as a part of its own.
func makeScratch() throws -> String {
    var template = Array("/tmp/ratchet-lmdb-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    return try #require(made)
}

/// The names in a folder, sorted.
func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 1) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// Removes a file, or a folder with all in it.
func removeTree(_ path: String) {
    var record = stat()
    guard lstat(path, &record) == 0 else { return }
    guard record.st_mode & S_IFMT == S_IFDIR else {
        unlink(path)
        return
    }
    for name in names(in: path) { removeTree(path + "/" + name) }
    rmdir(path)
}

/// The permission bits of a file or folder, or nil when it is absent.
func permissions(of path: String) -> UInt32? {
    var record = stat()
    guard stat(path, &record) == 0 else { return nil }
    return UInt32(record.st_mode) & 0o777
}

/// Writes a file of zeros until it has the size or the disk is full.
///
/// - Returns: The bytes written.
func fill(_ path: String, upTo size: Int) -> Int {
    let file = open(path, O_CREAT | O_WRONLY, 0o600)
    defer { close(file) }
    var written = 0
    // Large steps first, then what is left of the last page.
    for step in [65_536, 4096, 1] {
        let zeros = [UInt8](repeating: 0, count: step)
        while written < size {
            let count = write(file, zeros, min(step, size - written))
            guard count > 0 else { break }
            written += count
        }
    }
    return written
}
