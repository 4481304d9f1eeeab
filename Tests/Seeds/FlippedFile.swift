#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A stored file whose bits are flipped, in processes that may die of it.
package enum FlippedFile {
    /// Moves the file away and has flips of it tried until there is none left, and returns what became of all.
    ///
    /// - Parameters:
    ///   - file: The file, which nobody has open.
    ///   - folder: Where copies and results go.
    ///   - seed: Which bits.
    ///   - name: What the report calls it.
    ///   - isSlow: As in ``Flips``.
    ///   - attempt: Begins a process that makes ``Flips`` of the same folder and seed, and runs them.
    package static func report(
        on file: String,
        in folder: String,
        seed: Seed,
        as name: String,
        isSlow: Bool = false,
        attempt: (_ folder: String, _ seed: UInt64) async -> Void
    ) async throws -> Flips.Report {
        try FileManager.default.moveItem(atPath: file, toPath: folder + "/whole")
        let flips = try Flips(in: folder, seed: seed, isSlow: isSlow)
        while flips.tried < flips.count { await attempt(folder, seed.value) }
        return try flips.report(as: name)
    }
}
