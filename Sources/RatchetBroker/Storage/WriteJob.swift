import LMDB
import Synchronization

/// One piece of work for the writer thread, with its result.
final class WriteJob<R: Sendable>: WritePiece {
    let byteCount: Int
    let reclaims: Bool
    private let body: @Sendable (borrowing WriteTransaction) throws -> R
    private let done: @Sendable (Result<R, any Error>) -> Void
    private let result = Mutex<R?>(nil)

    /// `done` is called once: on the writer thread after the sync, or at once on the submitter's when the writer takes
    /// no more.
    init(
        byteCount: Int,
        reclaims: Bool,
        write body: @escaping @Sendable (borrowing WriteTransaction) throws -> R,
        done: @escaping @Sendable (Result<R, any Error>) -> Void
    ) {
        self.byteCount = byteCount
        self.reclaims = reclaims
        self.body = body
        self.done = done
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        let value = try body(transaction)
        result.withLock { $0 = value }
    }

    func completed(_ outcome: Result<Void, any Error>) {
        let value = result.withLock { $0.take() }
        switch (outcome, value) {
        case (.success, let value?): done(.success(value))
        case (.failure(let error), _): done(.failure(BrokerError.wrapping(error)))
        case (.success, nil): preconditionFailure("A piece completed that was never written.")
        }
    }
}
