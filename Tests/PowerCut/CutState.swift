import Seeds

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One of the many states in which a power cut may leave the state folder.
struct CutState {
    /// Contents by path; folders end with a slash.
    private(set) var files: [String: [UInt8]] = [:]
    private var random: SeededRandom

    /// What the seed chooses among what a cut at this moment may leave.
    init(of volume: Volume, seed: UInt64) {
        random = Seed(value: seed).random
        add(volume.root, "")
    }

    private mutating func add(_ folder: Inode, _ path: String) {
        let names = folder.names(keeping: Int.random(in: 0...folder.pending.count, using: &random))
        for (name, inode) in names.sorted(by: { $0.key < $1.key }) {
            if inode.isFolder {
                files["\(path)\(name)/"] = []
                add(inode, "\(path)\(name)/")
            } else {
                files["\(path)\(name)"] = content(of: inode, name)
            }
        }
    }

    private mutating func content(of inode: Inode, _ name: String) -> [UInt8] {
        var kept = Keeping(inode, &random)
        let sizes = kept.keepsAll ? inode.pending.count : Int.random(in: 0...inode.pending.count, using: &random)
        let bytes = inode.bytes(keepingSizes: sizes) { kept.keeps($0, $1, &random) }
        guard Verdict.isWithoutPromise(name), Bool.random(using: &random) else { return bytes }
        return bytes.map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }

    /// What tells it from others: all but what is without a promise.
    var fingerprint: Int {
        var hasher = Hasher()
        for (path, bytes) in files.sorted(by: { $0.key < $1.key }) {
            hasher.combine(path)
            if Verdict.isWithoutPromise(path.split(separator: "/").last.map(String.init) ?? "") { continue }
            bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
        return hasher.finalize()
    }

    /// Makes a folder of it, in place of what is there.
    func write(to path: String) throws {
        if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
            if name.hasSuffix("/") {
                try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: false)
            } else {
                try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
            }
        }
    }
}

/// Which of a file's unsynced sectors reached the disk.
private struct Keeping {
    private enum Choice {
        case all, none
        /// Each with this chance.
        case chance(Double)
        /// Whole pages, each with this chance.
        case pages(Double)
        /// All before this one, in the order of writing.
        case before(Int)
        case allBut(Int)
        case only(Int)
    }

    private let choice: Choice
    private var pages: [Int: Bool] = [:]

    init(_ inode: Inode, _ random: inout SeededRandom) {
        let place = Int.random(in: 0...inode.pending.count, using: &random)
        let chance = [0.02, 0.1, 0.5, 0.9, 0.98].randomElement(using: &random) ?? 0.5
        let choices: [Choice] = [
            .all, .none, .chance(chance), .chance(chance), .pages(chance), .before(place), .allBut(place), .only(place),
        ]
        choice = choices.randomElement(using: &random) ?? .all
    }

    var keepsAll: Bool { if case .all = choice { true } else { false } }

    mutating func keeps(_ index: Int, _ sector: Int, _ random: inout SeededRandom) -> Bool {
        switch choice {
        case .all: return true
        case .none: return false
        case .chance(let chance): return Double.random(in: 0..<1, using: &random) < chance
        case .before(let place): return index < place
        case .allBut(let place): return index != place
        case .only(let place): return index == place
        case .pages(let chance):
            let page = sector * Inode.sectorSize / Meta.pageSize
            if let known = pages[page] { return known }
            let keeps = Double.random(in: 0..<1, using: &random) < chance
            pages[page] = keeps
            return keeps
        }
    }
}
