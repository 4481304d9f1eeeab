#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A new folder for one test, removed with its last reference.
final class ScratchFolder: Sendable {
    let path: String

    init() throws {
        path = "/tmp/ratchet-tests-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of something in it.
    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Copies a folder of it as it is at this moment: what a process that is killed now leaves behind.
    func copy(_ name: String, to other: String) throws -> String {
        try FileManager.default.copyItem(atPath: self(name), toPath: self(other))
        return self(other)
    }

    func write(_ bytes: [UInt8], to name: String) throws {
        _ = FileManager.default.createFile(atPath: self(name), contents: Data(bytes))
    }

    func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: self(name), withIntermediateDirectories: false)
    }
}
