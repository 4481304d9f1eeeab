import CLMDB
import Synchronization

/// An LMDB environment: one folder with a data file of named tables and a lock file.
///
/// A process opens an environment once and shares it between threads. Transactions are synchronous: ``read(_:)`` runs
/// on the calling thread beside all others, ``write(_:)`` alone, one at a time over all processes.
///
/// After a write or sync that failed the environment is *poisoned*: ``failure`` holds the first error and every later
/// transaction throws ``LMDBError/Code/poisoned``. The operating system reports such a failure once and then forgets
/// it, so that the next commit would seem to succeed over pages that never reached the disk. Only a new process can
/// open the environment again, and finds it as the last good commit left it.
public final class Environment: Sendable {
    /// The folder, as an absolute path without symbolic links.
    public let path: String

    let configuration: Configuration
    let identity: Platform.Identity
    let process: Int32
    nonisolated(unsafe) let handle: OpaquePointer
    /// Belongs to whoever holds LMDB's write lock.
    nonisolated(unsafe) let writing: UnsafeMutablePointer<WriteState>

    let tables = Mutex(TableCache())
    let quota: Atomic<Int>
    /// What the next commit is to fail by, in a simulation.
    let commitFault = Mutex<CommitFault?>(nil)
    /// Which thread is in a write transaction, so that one inside another is told apart from one that has to wait.
    let writer = Atomic<UInt>(0)
    /// Open transactions, and ``closedMark`` once closed.
    private let users = Atomic<Int>(0)
    private let isPoisoned = Atomic<Bool>(false)
    private let poison = Mutex<LMDBError?>(nil)
    /// Who waits for the last transaction to end; nil once the files are closed.
    private let closing = Mutex<[CheckedContinuation<Void, Never>]?>([])
    private static let closedMark = 1 << 62

    /// Takes over an environment that LMDB has opened and the registry has listed.
    init(handle: OpaquePointer, path: String, identity: Platform.Identity, configuration: Configuration) {
        self.handle = handle
        self.path = path
        self.identity = identity
        self.configuration = configuration
        process = Platform.processID
        quota = Atomic(configuration.quota)
        writing = .allocate(capacity: 1)
        writing.initialize(to: WriteState(maximumTables: configuration.maximumTables))
    }

    deinit {
        close()
        writing.deinitialize(count: 1)
        writing.deallocate()
    }

    /// Closes the files and lets the process open the environment again.
    ///
    /// No transaction may be open: that is a programming error. Later ones throw ``LMDBError/Code/closed``. Closing
    /// twice does nothing more. The last reference closes the environment too; an explicit call says when. Commits made
    /// before stay as safe as their durability made them: closing does not flush.
    public func close() {
        // The child of a fork must leave its parent's files and locks alone.
        guard process == Platform.processID else { return }
        let before = users.bitwiseOr(Self.closedMark, ordering: .acquiringAndReleasing).oldValue
        guard before & Self.closedMark == 0 else { return }
        precondition(before == 0, "The environment in \(path) was closed while a transaction was open.")
        end()
    }

    /// Closes as ``close()`` does, once the transactions that are open have ended; no other begins meanwhile.
    public func closeWhenUnused() async {
        guard process == Platform.processID else { return }
        let before = users.bitwiseOr(Self.closedMark, ordering: .acquiringAndReleasing).oldValue
        if before & ~Self.closedMark == 0 { return end() }
        await withCheckedContinuation { continuation in
            let isWaiting = closing.withLock { closing in
                closing?.append(continuation)
                return closing != nil
            }
            if !isWaiting { continuation.resume() }
        }
    }

    /// Nobody uses the handle any more, and nobody will.
    private func end() {
        let waiting = closing.withLock { closing -> [CheckedContinuation<Void, Never>] in
            guard let waiting = closing.take() else { return [] }
            mdb_env_close(handle)
            Registry.unregister(identity)
            return waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// The first write or sync error, for good: there is no way back within this process.
    public var failure: LMDBError? { poison.withLock { $0 } }

    /// Flushes all commits to the disk, also those of ``Configuration/Durability/unsynced``.
    ///
    /// - Throws: ``LMDBError``; a failed flush poisons the environment.
    public func synchronize() throws {
        try enter("synchronize")
        defer { leave() }
        let number = mdb_env_sync(handle, 1)
        guard number == 0 else { throw changeFailure(number, "synchronize", duringCommit: true) }
    }
}

extension Environment {
    /// Every use of the handle lies between this and ``leave()``.
    func enter(_ operation: String) throws(LMDBError) {
        guard process == Platform.processID else {
            let detail = "opened before a fork, used by the child: open it in the child"
            throw LMDBError(.inheritedByFork, operation: operation, path: path, detail: detail)
        }
        let users = users.wrappingAdd(1, ordering: .acquiring).newValue
        guard users & Self.closedMark == 0 else {
            leave()
            throw LMDBError(.closed, operation: operation, path: path, detail: "the environment was closed")
        }
        do throws(LMDBError) { try checkPoison(operation) } catch {
            leave()
            throw error
        }
    }

    func leave() {
        let left = users.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
        // The last one, and the environment is to be closed.
        if left == Self.closedMark { end() }
    }

    func checkPoison(_ operation: String) throws(LMDBError) {
        guard isPoisoned.load(ordering: .acquiring), let failure else { return }
        throw .poisoned(by: failure, operation: operation, path: path)
    }

    func failure(_ number: Int32, _ operation: String) -> LMDBError {
        LMDBError(returned: number, operation: operation, path: path)
    }

    /// The error of a change, commit or sync. Poisons the environment when pages may not be what they seem.
    func changeFailure(_ number: Int32, _ operation: String, duringCommit: Bool = false) -> LMDBError {
        // LMDB calls it an I/O error when the disk has room for a part of a write only.
        let isFull = number == Platform.inputOutput && Platform.isFull(path)
        let error = failure(isFull ? Platform.noSpace : number, operation)
        guard LMDBError.poisons(number, duringCommit: duringCommit) else { return error }
        poison.withLock { if $0 == nil { $0 = error } }
        isPoisoned.store(true, ordering: .releasing)
        Registry.poison(identity, at: path, error)
        return error
    }
}
