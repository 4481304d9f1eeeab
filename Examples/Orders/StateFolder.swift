#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The folder that holds a broker and a ledger, with a marker so that nobody else's folder is taken for one.
struct StateFolder: Sendable {
    static let markerName = "orders.state"
    private static let unfinishedMarkerName = "orders.state.unfinished"
    private static let marker =
        "State of the Ratchet example `orders`, version 1. It belongs with the folders beside it.\n"

    let path: String
    let isTemporary: Bool
    var broker: String { "\(path)/broker" }
    var ledger: String { "\(path)/ledger" }

    /// A run's folder: the named one, which is made if it is absent or empty, or a temporary one.
    static func forRun(_ path: String?) throws -> StateFolder {
        guard let path else { return try temporary() }
        let folder = StateFolder(path: path, isTemporary: false)
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw Failure(.unusable, "the state folder \(path) cannot be made: \(SystemError.reason(for: error))")
        }
        let names = try folder.names().filter { $0 != unfinishedMarkerName }
        if names.isEmpty { try folder.writeMarker() } else { try folder.check() }
        return folder
    }

    /// A folder that a run has made, to look into.
    static func existing(_ path: String) throws -> StateFolder {
        let folder = StateFolder(path: path, isTemporary: false)
        try folder.check()
        return folder
    }

    private static func temporary() throws -> StateFolder {
        let folder: StateFolder
        do {
            folder = StateFolder(path: try Files.makeTemporaryFolder(prefix: "orders-"), isTemporary: true)
        } catch {
            throw Failure(.unusable, "a temporary folder cannot be made: \(error)")
        }
        do {
            try folder.writeMarker()
        } catch {
            try folder.removeIfTemporary()
            throw error
        }
        return folder
    }

    /// Whether a run has come so far as to make its ledger.
    var hasLedger: Bool { FileManager.default.fileExists(atPath: ledger) }

    /// Removes a temporary folder.
    func removeIfTemporary() throws {
        guard isTemporary else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw Failure(.failed, "the temporary folder \(path) cannot be removed: \(SystemError.reason(for: error))")
        }
    }

    private func names() throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw Failure(.unusable, "the state folder \(path) cannot be read: \(SystemError.reason(for: error))")
        }
    }

    private func check() throws {
        guard try names().contains(Self.markerName) else {
            throw Failure(.unusable, "\(path) is not a state folder of orders: it has no file \(Self.markerName)")
        }
        guard FileManager.default.contents(atPath: "\(path)/\(Self.markerName)") == Data(Self.marker.utf8) else {
            throw Failure(
                .unusable,
                "\(path) is not a state folder of this version of orders: see \(Self.markerName) there"
            )
        }
    }

    // Durable before anything is beside it: a folder with a broker and without its marker would be refused.
    private func writeMarker() throws {
        do {
            try Files.writeDurably(Self.marker, to: Self.markerName, by: Self.unfinishedMarkerName, in: path)
        } catch {
            throw Failure(.unusable, "the state folder \(path) cannot be written: \(SystemError.reason(for: error))")
        }
    }
}
