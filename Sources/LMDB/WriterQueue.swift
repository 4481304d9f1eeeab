import Synchronization

/// What a writer thread and its callers share.
final class WriterQueue: Sendable {
    private struct State {
        var pieces = PieceQueue()
        var isFinishing = false
        var isAbandoned = false
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = GuardedState(State())
    let limits: WriterThread.Limits
    /// The thread's number while it runs, else 0.
    private let thread = Atomic<UInt>(0)

    init(limits: WriterThread.Limits) { self.limits = limits }

    /// How many pieces wait.
    var count: Int { state.withLock { $0.pieces.count } }

    var isAttached: Bool { thread.load(ordering: .relaxed) == Platform.threadID }

    /// - Returns: Why the piece was not taken, or nil.
    func append(_ entry: WriteGroup.Entry) -> LMDBError.Code? {
        state.withLock { state in
            guard !state.isFinishing else { return .closed }
            guard state.pieces.count < limits.queuedPieces else { return .queueFull }
            state.pieces.append(entry)
            return nil
        }
    }

    /// Waits for work. Only the thread calls this.
    ///
    /// - Returns: The next group, or nil when everything has run and no more is taken.
    func next() -> WriteGroup? {
        state.wait(until: { $0.pieces.count > 0 || $0.isFinishing }) { state in
            state.pieces.next(pieces: limits.pieces, bytes: limits.bytes)
        }
    }

    /// Waits for work that may join a transaction which is open. Only the thread calls this.
    ///
    /// - Returns: More pieces, or nil when the transaction is to be committed now.
    /// - Throws: When it is to be undone.
    func join(until deadline: WaitDeadline, path: String) throws -> WriteGroup? {
        let (group, isAbandoned) = state.wait(
            until: { $0.pieces.count > 0 || $0.isFinishing },
            atMost: deadline
        ) { state -> (WriteGroup?, Bool) in
            guard !state.isAbandoned else { return (nil, true) }
            return (state.pieces.next(pieces: limits.pieces, bytes: limits.bytes, onlyIfAlone: true), false)
        }
        if isAbandoned { throw LMDBError.ended(path) }
        return group
    }

    /// Takes work if there is some.
    ///
    /// - Returns: The next group, or nil when nothing waits; and whether nothing will come any more.
    func poll() -> (group: WriteGroup?, isOver: Bool) {
        state.withLock { state in
            let group = state.pieces.next(pieces: limits.pieces, bytes: limits.bytes)
            return (group, state.isFinishing && state.pieces.count == 0)
        }
    }

    func finish() { state.withLock { $0.isFinishing = true } }

    /// Finishes, and what is not committed yet never is.
    func abandon() {
        state.withLock { state in
            state.isFinishing = true
            state.isAbandoned = true
        }
    }

    func attach() { thread.store(Platform.threadID, ordering: .relaxed) }

    func detach() {
        thread.store(0, ordering: .relaxed)
        let waiters = state.withLock { state in
            state.hasEnded = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits until the thread has ended its work.
    func ended() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waiters.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }
}
