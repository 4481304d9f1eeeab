import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A folder for one test, removed with its last reference.
final class Scratch: Sendable {
    private let folder: String
    private let names = Mutex(0)

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "ratchet-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func unusedName(_ prefix: String) -> String {
        names.withLock { number in
            number += 1
            return "\(prefix)\(number)"
        }
    }

    func read(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path(name))), as: UTF8.self)
    }

    /// Writes a file; returns its path.
    func write(_ text: String, as name: String) throws -> String {
        try Data(text.utf8).write(to: URL(filePath: path(name)))
        return path(name)
    }

    func makeFolder(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: path(name), withIntermediateDirectories: false)
        return path(name)
    }

    func names(in name: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path(name)) }
}
