#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A new folder for a run's files; it is removed with its last reference.
final class RunFolder: Sendable {
    let path: String

    /// `inMemory`: where there is such a place.
    init(inMemory: Bool) throws(SimulationError) {
        let isThere = inMemory && FileManager.default.isWritableFile(atPath: "/dev/shm")
        let parent = isThere ? "/dev/shm" : FileManager.default.temporaryDirectory.path()
        var template = Array("\(parent)/ratchet-simulation.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            let reason = String(cString: strerror(errno))
            throw SimulationError(description: "no folder for the run's files can be made in \(parent): \(reason)")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Why a simulation could not be run at all.
public struct SimulationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was wrong, and where.
    public let description: String
}
