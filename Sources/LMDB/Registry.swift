import Synchronization

/// Which environments this process has open, by folder and not by path.
///
/// Opening one twice breaks LMDB's locking: the operating system drops a process's locks on a file with the first of
/// its descriptors that is closed. One that was poisoned stays listed after it was closed: what this process's page
/// cache shows of it may never have reached the disk.
enum Registry {
    private enum Entry {
        case open(process: Int32)
        case poisoned(process: Int32, LMDBError, HeldFolder?)
    }

    /// Keeps a folder that was deleted from giving its number to another one.
    private final class HeldFolder: Sendable {
        private let folder: OpenFile

        /// Nil if what is at the path now is another one.
        init?(_ identity: Platform.Identity, at path: String) {
            guard let folder = try? OpenFile(folder: path), let status = try? folder.status,
                status.identity == identity
            else { return nil }
            self.folder = folder
        }
    }

    private static let entries = Mutex<[Platform.Identity: Entry]>([:])

    static func register(_ identity: Platform.Identity, path: String) throws(LMDBError) {
        let process = Platform.processID
        let found = entries.withLock { entries -> Entry? in
            switch entries[identity] {
            case .open(process)?, .poisoned(process, _, _)?: return entries[identity]
            // What a parent process had open before it forked does not bind the child.
            case .open?, .poisoned?, nil: entries[identity] = .open(process: process)
            }
            return nil
        }
        switch found {
        case .open?:
            let detail = "this process has it open already: share that Environment"
            throw LMDBError(.alreadyOpen, operation: "open", path: path, detail: detail)
        case .poisoned(_, let cause, _)?: throw .poisoned(by: cause, operation: "open", path: path)
        case nil: return
        }
    }

    static func poison(_ identity: Platform.Identity, at path: String, _ cause: LMDBError) {
        let folder = HeldFolder(identity, at: path)
        entries.withLock { entries in
            if case .poisoned(Platform.processID, _, .some)? = entries[identity] { return }
            entries[identity] = .poisoned(process: Platform.processID, cause, folder)
        }
    }

    static func unregister(_ identity: Platform.Identity) {
        entries.withLock { entries in
            if case .open? = entries[identity] { entries[identity] = nil }
        }
    }

    /// For a folder that was made just now: the number of a poisoned one that was deleted since may have come back.
    static func forget(_ identity: Platform.Identity) {
        entries.withLock { $0[identity] = nil }
    }
}

extension LMDBError {
    static func poisoned(by cause: LMDBError, operation: String, path: String) -> LMDBError {
        let detail = "an earlier write failed (\(cause)): end this process, a new one can open the environment"
        return LMDBError(.poisoned, operation: operation, path: path, detail: detail)
    }
}
