/// The state folder while a recording is played: what a power cut would find of it at any step.
///
/// A write is safe after a later `fsync` or `fdatasync` of its file; one through O_DSYNC when it has returned, and that
/// makes no other write safe. A name is safe after an `fsync` of its folder.
final class Volume {
    /// What a disk may answer that does nothing: the check must see what comes of it.
    enum Lie: String {
        /// A file's sync.
        case files
        /// A folder's sync.
        case folders
        /// A write through O_DSYNC.
        case writes
    }

    private struct Descriptor {
        let inode: Inode
        let isSynced: Bool
        var offset = 0
    }

    let root = Inode(isFolder: true)
    /// The highest transaction whose commit has returned, in an environment that has its name, by that name.
    private(set) var promised: [String: UInt64] = [:]
    private let recording: Recording
    private let lie: Lie?
    private var descriptors: [Int: Descriptor] = [:]
    private var changes = 0
    /// The changes before a call, by the call.
    private var changesAtBegin: [Int: Int] = [:]

    init(_ recording: Recording, lie: Lie?) {
        self.recording = recording
        self.lie = lie
    }

    func perform(_ step: Step) throws {
        switch step {
        case .begin(let number):
            changesAtBegin[number] = changes
            try begin(recording.calls[number])
        case .end(let number):
            try end(recording.calls[number], number)
        }
    }

    /// What may be found of a call once it has begun.
    private func begin(_ call: Call) throws {
        defer { changes += 1 }
        switch call.operation {
        case .write(let number, let offset, let bytes):
            guard let descriptor = descriptors[number] else { break }
            descriptor.inode.write(bytes, at: offset ?? descriptor.offset, changes)
            if offset == nil { descriptors[number]?.offset += bytes.count }
        case .resize(let number, let size): descriptors[number]?.inode.resize(to: size, changes)
        case .allocate(let number, let end):
            guard let inode = descriptors[number]?.inode else { break }
            inode.resize(to: max(inode.bytes.count, end), changes)
        case .rename(let old, let new):
            guard let (folder, name) = try place(old) else { break }
            guard let (newFolder, newName) = try place(new), newFolder === folder else {
                throw Problem("a rename from one folder to another is not modelled: \(old) to \(new)")
            }
            try folder.rename(name, to: newName, changes)
        case .makeFolder(let path):
            if let (folder, name) = try place(path) { folder.set(name, Inode(isFolder: true), changes) }
        case .remove(let path): if let (folder, name) = try place(path) { folder.set(name, nil, changes) }
        case .open, .close, .seek, .synchronize, .newProcess: break
        }
    }

    private func end(_ call: Call, _ number: Int) throws {
        defer { changes += 1 }
        switch call.operation {
        case .open(let path, let flags): descriptors[call.result] = try open(path, flags)
        case .close(let number): descriptors[number] = nil
        case .seek(let number): descriptors[number]?.offset = call.result
        case .newProcess: descriptors = [:]
        case .synchronize(let descriptor):
            guard let inode = descriptors[descriptor]?.inode, lie != (inode.isFolder ? .folders : .files) else { break }
            inode.harden(before: changesAtBegin[number, default: 0])
        case .write(let descriptor, let offset, let bytes):
            guard let open = descriptors[descriptor] else { break }
            let start = offset ?? open.offset - bytes.count
            if open.isSynced && lie != .writes { open.inode.harden(start..<start + bytes.count, before: changes) }
            promise(open.inode, bytes, start)
        default: break
        }
        changesAtBegin[number] = nil
    }

    private func open(_ path: String, _ flags: Set<Substring>) throws -> Descriptor? {
        let isSynced = !flags.isDisjoint(with: ["O_DSYNC", "O_SYNC"])
        guard isInside(path) else { return nil }
        guard let (folder, name) = try place(path) else { return Descriptor(inode: root, isSynced: false) }
        let inode = folder.names[name] ?? Inode(isFolder: false)
        if folder.names[name] == nil { folder.set(name, inode, changes) }
        if flags.contains("O_TRUNC") { inode.resize(to: 0, changes) }
        return Descriptor(inode: inode, isSynced: isSynced)
    }

    /// A commit is promised once the page that makes it valid was written.
    private func promise(_ inode: Inode, _ bytes: [UInt8], _ offset: Int) {
        guard offset < 2 * Meta.pageSize, let meta = Meta(inode.bytes, page: offset / Meta.pageSize) else { return }
        for name in Verdict.environments where root.names[name]?.names["data.mdb"] === inode {
            promised[name] = max(promised[name] ?? 0, meta.transaction)
        }
    }

    private func isInside(_ path: String) -> Bool {
        path == recording.folder || path.hasPrefix(recording.folder + "/")
    }

    /// The folder that a path lies in, and its name there; nil for the state folder and for what is outside of it.
    private func place(_ path: String) throws -> (folder: Inode, name: String)? {
        guard isInside(path) else {
            guard path.hasPrefix("/") else { throw Problem("a relative path is not modelled: \(path)") }
            return nil
        }
        let names = path.dropFirst(recording.folder.count).split(separator: "/")
        guard let last = names.last else { return nil }
        var folder = root
        for name in names.dropLast() {
            guard let next = folder.names[String(name)] else { throw Problem("the recording never made \(path)") }
            folder = next
        }
        return (folder, String(last))
    }

    /// Whether a power cut at this moment has more than one outcome that matters.
    var isAtRisk: Bool { Self.isAtRisk(root) }

    private static func isAtRisk(_ inode: Inode) -> Bool {
        let isUnsafe = inode.pending.contains { entry in
            if case .name(let name, _) = entry.change { !Verdict.isWithoutPromise(name) } else { true }
        }
        if isUnsafe { return true }
        // Any order: it is only asked whether there is one.
        return inode.names.contains { !Verdict.isWithoutPromise($0.key) && isAtRisk($0.value) }
    }
}
