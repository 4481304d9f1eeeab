import Dispatch
import LMDB
import Synchronization

/// A piece made of closures, whose outcome can be waited for.
final class TestPiece: WritePiece {
    let byteCount: Int
    let reclaims: Bool
    let failsAlone: Bool
    let delayableBytes: Int?
    private let body: @Sendable (borrowing WriteTransaction) throws -> Void
    private let onCompletion: @Sendable (Result<Void, any Error>) -> Void
    private let state = Mutex(State())

    private struct State {
        var outcomes: [Result<Void, any Error>] = []
        var waiter: CheckedContinuation<Result<Void, any Error>, Never>?
        var isWritten = false
        var writtenWaiter: CheckedContinuation<Void, Never>?
    }

    init(
        byteCount: Int = 0,
        reclaims: Bool = false,
        failsAlone: Bool = true,
        delayableBytes: Int? = nil,
        body: @escaping @Sendable (borrowing WriteTransaction) throws -> Void,
        onCompletion: @escaping @Sendable (Result<Void, any Error>) -> Void = { _ in }
    ) {
        self.byteCount = byteCount
        self.reclaims = reclaims
        self.failsAlone = failsAlone
        self.delayableBytes = delayableBytes
        self.body = body
        self.onCompletion = onCompletion
    }

    /// Adds one to a row.
    convenience init(
        incrementing key: String,
        byteCount: Int = 0,
        reclaims: Bool = false,
        failsAlone: Bool = true,
        delayableBytes: Int? = nil,
        onCompletion: @escaping @Sendable (Result<Void, any Error>) -> Void = { _ in }
    ) {
        self.init(
            byteCount: byteCount,
            reclaims: reclaims,
            failsAlone: failsAlone,
            delayableBytes: delayableBytes,
            body: { transaction in
                let table = TypedTable<String, Int>(try transaction.table("counters", create: true))
                try table.update(key, default: 0, in: transaction) { $0 += 1 }
            },
            onCompletion: onCompletion
        )
    }

    func write(in transaction: borrowing WriteTransaction) throws { try body(transaction) }

    func written() {
        let waiter = state.withLock { state in
            state.isWritten = true
            return state.writtenWaiter.take()
        }
        waiter?.resume()
    }

    /// Waits until it is told that it is written.
    func waitUntilWritten() async {
        await withCheckedContinuation { continuation in
            let isWritten = state.withLock { state in
                if !state.isWritten { state.writtenWaiter = continuation }
                return state.isWritten
            }
            if isWritten { continuation.resume() }
        }
    }

    func completed(_ result: Result<Void, any Error>) {
        onCompletion(result)
        let waiter = state.withLock { state in
            state.outcomes.append(result)
            return state.waiter.take()
        }
        waiter?.resume(returning: result)
    }

    /// Waits for the outcome.
    var outcome: Result<Void, any Error> {
        get async {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state in
                    if state.outcomes.isEmpty { state.waiter = continuation }
                    return state.outcomes.first
                }
                if let known { continuation.resume(returning: known) }
            }
        }
    }

    /// The code of the error that the piece was completed with, or nil when it succeeded.
    var failure: LMDBError.Code? {
        get async {
            guard case .failure(let error) = await outcome else { return nil }
            return (error as? LMDBError)?.code
        }
    }

    /// How often the piece was completed.
    var completions: Int { state.withLock { $0.outcomes.count } }
}

/// Holds a writer thread inside a piece, so that what is submitted meanwhile has to wait.
final class Gate: Sendable {
    private let opened = DispatchSemaphore(value: 0)
    private let entered: AsyncStream<Void>
    private let enter: AsyncStream<Void>.Continuation

    init() { (entered, enter) = AsyncStream.makeStream() }

    /// The piece that is held: it writes nothing and fails, so that it costs no commit.
    var piece: TestPiece {
        TestPiece { [self] _ in
            enter.finish()
            opened.wait()
            throw Refusal()
        }
    }

    /// Hands the thread the piece and waits until it is in there.
    func hold(_ writer: WriterThread) async {
        writer.submit(piece)
        for await _ in entered {}
    }

    func open() { opened.signal() }
}
