/// What must hold of each environment after a power cut, before anything opens it.
enum Verdict {
    static let environments = ["broker", "ledger"]

    /// LMDB writes its lock file through a map, and the owner file is for people: after a power cut anything is in them.
    static func isWithoutPromise(_ name: String) -> Bool { name == "lock.mdb" || name == "owner" }

    /// Finds the newest promised commit, or the one that was under way, with each of its pages as it was written.
    ///
    /// - Returns: What is wrong, nil for nothing.
    static func problem(of state: CutState, _ volume: Volume) throws -> String? {
        for name in environments {
            let promised = volume.promised[name]
            guard let folder = state.files["\(name)/"] != nil ? state.files["\(name)/data.mdb"] ?? [] : nil else {
                if let promised { return "lost: \(name) is not there, and commit \(promised) had returned" }
                continue
            }
            guard let meta = Meta.newest(folder) else { return "finding: \(name) cannot be opened" }
            if let promised, meta.transaction < promised {
                return "lost: \(name) has commit \(meta.transaction), and commit \(promised) had returned"
            }
            guard let whole = volume.root.names[name]?.names["data.mdb"]?.bytes else {
                return "finding: \(name) has come back"
            }
            for page in try PageTree(whole, meta).pages where !isSame(page, folder, whole) {
                return "finding: \(name), commit \(meta.transaction): page \(page) is not what was written"
            }
        }
        return nil
    }

    private static func isSame(_ page: Int, _ found: [UInt8], _ whole: [UInt8]) -> Bool {
        let range = page * Meta.pageSize..<(page + 1) * Meta.pageSize
        return range.upperBound <= found.count && found[range] == whole[range]
    }
}
