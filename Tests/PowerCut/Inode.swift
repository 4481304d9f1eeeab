/// A file or a folder: what programs see of it, what is safe on the disk, and the changes between the two.
final class Inode {
    static let sectorSize = 512

    enum Change {
        /// One sector, as a write left it in the cache.
        case sector(Int, [UInt8])
        /// The file's size.
        case size(Int)
        /// A name in a folder; nil when it was removed.
        case name(String, Inode?)
        /// A rename within a folder: both names at once or neither.
        case renamed(String, to: String, Inode)
    }

    let isFolder: Bool
    /// What programs see.
    private(set) var bytes: [UInt8] = []
    private(set) var names: [String: Inode] = [:]
    /// What survives any power cut.
    private(set) var safeBytes: [UInt8] = []
    private(set) var safeNames: [String: Inode] = [:]
    /// In order, each with its place among all changes of the recording.
    private(set) var pending: [(order: Int, change: Change)] = []

    init(isFolder: Bool) { self.isFolder = isFolder }

    func write(_ content: [UInt8], at offset: Int, _ order: Int) {
        guard !content.isEmpty else { return }
        let end = offset + content.count
        if end > bytes.count { resize(to: end, order) }
        bytes.replaceSubrange(offset..<end, with: content)
        for sector in offset / Self.sectorSize...(end - 1) / Self.sectorSize {
            let start = sector * Self.sectorSize
            let content = Array(bytes[start..<min(start + Self.sectorSize, bytes.count)])
            pending.append((order, .sector(sector, content)))
        }
    }

    func resize(to size: Int, _ order: Int) {
        guard size != bytes.count else { return }
        bytes.setCount(size)
        pending.append((order, .size(size)))
    }

    func set(_ name: String, _ inode: Inode?, _ order: Int) {
        names[name] = inode
        pending.append((order, .name(name, inode)))
    }

    func rename(_ name: String, to newName: String, _ order: Int) throws {
        guard let inode = names.removeValue(forKey: name) else { throw Problem("nothing is called \(name)") }
        names[newName] = inode
        pending.append((order, .renamed(name, to: newName, inode)))
    }

    /// Everything that was changed before is safe: a sync has returned.
    func harden(before order: Int) {
        for (_, change) in pending.prefix(while: { $0.order < order }) {
            apply(change, &safeBytes)
            apply(change, &safeNames)
        }
        pending.removeFirst(pending.prefix { $0.order < order }.count)
    }

    /// A write through a descriptor with O_DSYNC has returned: its sectors are safe, with the size that they need, and
    /// what else was written before is not.
    func harden(_ range: Range<Int>, before order: Int) {
        guard !range.isEmpty else { return }
        let sectors = range.lowerBound / Self.sectorSize...(range.upperBound - 1) / Self.sectorSize
        pending.removeAll { entry in
            guard entry.order < order else { return false }
            switch entry.change {
            case .size: break
            case .sector(let sector, _) where sectors.contains(sector): break
            default: return false
            }
            apply(entry.change, &safeBytes)
            return true
        }
    }

    private func apply(_ change: Change, _ bytes: inout [UInt8]) {
        switch change {
        case .sector(let sector, let content): bytes.put(content, at: sector * Self.sectorSize)
        case .size(let size): bytes.setCount(size)
        case .name, .renamed: break
        }
    }

    private func apply(_ change: Change, _ names: inout [String: Inode]) {
        switch change {
        case .name(let name, let inode): names[name] = inode
        case .renamed(let name, let newName, let inode):
            names[name] = nil
            names[newName] = inode
        case .sector, .size: break
        }
    }

    // MARK: After a power cut

    /// The folder's names when only the first so many changes were kept: a journal keeps them in order.
    func names(keeping count: Int) -> [String: Inode] {
        var names = safeNames
        for (_, change) in pending.prefix(count) { apply(change, &names) }
        return names
    }

    /// The file's bytes: any of the unsynced sectors, and the sizes up to one of them.
    func bytes(keepingSizes count: Int, sectors keeps: (_ index: Int, _ sector: Int) -> Bool) -> [UInt8] {
        var bytes = safeBytes
        var size = safeBytes.count
        var left = count
        for (index, (_, change)) in pending.enumerated() {
            switch change {
            case .sector(let sector, _): if keeps(index, sector) { apply(change, &bytes) }
            case .size(let changed):
                guard left > 0 else { continue }
                left -= 1
                size = changed
                apply(change, &bytes)
            case .name, .renamed: break
            }
        }
        bytes.setCount(size)
        return bytes
    }
}

extension [UInt8] {
    /// Cuts off the end or appends zeros.
    mutating func setCount(_ count: Int) {
        if count < self.count { removeLast(self.count - count) }
        append(contentsOf: repeatElement(0, count: count - self.count))
    }

    fileprivate mutating func put(_ content: [UInt8], at offset: Int) {
        setCount(Swift.max(count, offset + content.count))
        replaceSubrange(offset..<offset + content.count, with: content)
    }
}
