import Synchronization

/// The one thread that writes to an environment.
///
/// Callers hand it pieces of work and go on. It takes all that wait, up to the limits, writes them in one transaction,
/// commits once and completes them in order. A piece that fails undoes only its own writes.
///
/// The thread ends after ``stop()``, or, when nobody calls that, once the last reference is gone; what was submitted
/// runs first either way.
public final class WriterThread: Sendable {
    /// The bounds of a writer thread.
    public struct Limits: Sendable, Hashable {
        /// The most pieces in one commit. Default: 256.
        public var pieces: Int
        /// The most bytes in one commit, by the pieces' own estimate; a piece beyond it is committed alone. Default: 64
        /// MiB.
        public var bytes: Int
        /// The most pieces that wait. Default: 65,536.
        public var queuedPieces: Int
        /// How long pieces that may wait for their commit wait for it at the most, from the first one's writing. A piece
        /// that may not wait is committed at once, and they with it. Default: 100 ms.
        public var delay = Duration.milliseconds(100)
        /// How many bytes may wait for their commit; the piece that exceeds it is in it. Default: 16 MiB.
        public var delayedBytes = 16 << 20

        /// The defaults, but for what is given.
        ///
        /// - Parameters:
        ///   - pieces: The most pieces in one commit.
        ///   - bytes: The most bytes in one commit.
        ///   - queuedPieces: The most pieces that wait.
        public init(pieces: Int = 256, bytes: Int = 64 << 20, queuedPieces: Int = 65_536) {
            self.pieces = pieces
            self.bytes = bytes
            self.queuedPieces = queuedPieces
        }
    }

    /// Asks for a turn: it is to run once, later, and always on the same thread.
    package typealias Asking = @Sendable (_ turn: @escaping @Sendable () -> Void) -> Void

    private let queue: WriterQueue
    private let path: String
    private let turns: WriterTurns?

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - environment: Where to write. It is kept open until the thread has ended, unless it is closed.
    ///   - name: The thread's name, as debuggers show it; some systems show 15 bytes of it.
    ///   - limits: The bounds.
    public init(environment: Environment, name: String, limits: Limits = .init()) {
        let queue = WriterQueue(limits: limits)
        self.queue = queue
        path = environment.path
        turns = nil
        // Keeps the queue, not this object: its deinit ends the thread.
        Platform.startThread(name: name) {
            queue.attach()
            while let group = queue.next() { group.run(in: environment, joinedBy: queue) }
            queue.detach()
        }
    }

    /// A writer without a thread, for simulations: its groups run in turns, for which it asks by `asking`.
    package init(environment: Environment, limits: Limits = .init(), asking: @escaping Asking) {
        queue = WriterQueue(limits: limits)
        path = environment.path
        turns = WriterTurns(queue, environment, asking)
    }

    deinit { queue.finish() }

    /// Hands over a piece. Never blocks.
    ///
    /// Past the bound of waiting pieces, or after ``stop()``, the piece is completed here and now with
    /// ``LMDBError/Code/queueFull`` or ``LMDBError/Code/closed``.
    ///
    /// - Parameter piece: The work. The same piece is submitted once only.
    public func submit(_ piece: any WritePiece) {
        guard let refusal = queue.append(WriteGroup.Entry(piece)) else {
            turns?.request()
            return
        }
        let detail =
            switch refusal {
            case .queueFull: "too many pieces wait: submit fewer at a time, or raise queuedPieces"
            default: "the writer thread was stopped: end what writes before its environment is closed"
            }
        piece.completed(.failure(LMDBError(refusal, operation: "submit", path: path, detail: detail)))
    }

    /// Runs a closure as a piece and waits for its commit. Cancelling the task changes nothing: what was submitted is
    /// written.
    ///
    /// - Parameters:
    ///   - byteCount: About how many bytes it writes.
    ///   - reclaims: Whether it frees more than it writes, and so runs beyond the quota too.
    ///   - body: Reads and writes, on the writer thread.
    /// - Returns: What the closure returned, once that is committed.
    /// - Throws: What the closure throws, or the ``LMDBError`` that undid it.
    public func write<R: Sendable>(
        byteCount: Int = 0,
        reclaims: Bool = false,
        _ body: @escaping @Sendable (borrowing WriteTransaction) throws -> R
    ) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            submit(ClosurePiece(byteCount: byteCount, reclaims: reclaims, body: body, continuation: continuation))
        }
    }

    /// How many pieces wait for their commit to begin.
    public var waitingPieces: Int { queue.count }

    /// Whether the caller runs on the writer thread.
    public var isOnThread: Bool { queue.isAttached }

    /// Takes no more pieces, runs all that wait, and returns once the thread has ended its work. Calling it again waits
    /// for the same end.
    public func stop() async {
        queue.finish()
        turns?.request()
        await queue.ended()
    }

    /// Ends the writer as a crash would: what waits fails unwritten, or uncommitted. A group that its thread is committing
    /// is still committed.
    package func abandon() {
        if let turns { return turns.abandon() }
        queue.abandon()
        while let group = queue.poll().group { group.refuse(path: path) }
    }
}

/// A closure as a piece. Only the writer thread touches its result, between `write` and `completed`.
private final class ClosurePiece<R: Sendable>: WritePiece, @unchecked Sendable {
    let byteCount: Int
    let reclaims: Bool
    private let body: @Sendable (borrowing WriteTransaction) throws -> R
    private let continuation: CheckedContinuation<R, any Error>
    private var value: R?

    init(
        byteCount: Int,
        reclaims: Bool,
        body: @escaping @Sendable (borrowing WriteTransaction) throws -> R,
        continuation: CheckedContinuation<R, any Error>
    ) {
        self.byteCount = byteCount
        self.reclaims = reclaims
        self.body = body
        self.continuation = continuation
    }

    func write(in transaction: borrowing WriteTransaction) throws { value = try body(transaction) }

    func completed(_ result: Result<Void, any Error>) {
        switch (result, value) {
        case (.success, let value?): continuation.resume(returning: value)
        case (.success, nil): preconditionFailure("A piece was committed without having been written.")
        case (.failure(let error), _): continuation.resume(throwing: error)
        }
    }
}
