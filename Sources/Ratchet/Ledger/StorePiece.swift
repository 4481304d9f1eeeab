import LMDB

/// Work that changes what the store keeps in memory along with the file.
///
/// Its commit decides: when the memory has moved on and the file has not, the ledger believes nothing any more.
final class StorePiece<R: Sendable>: WritePiece, @unchecked Sendable {
    let byteCount = 0
    let reclaims: Bool
    private let store: LedgerStore
    private let body: @Sendable (borrowing WriteTransaction) throws -> R
    private let continuation: CheckedContinuation<R, any Error>
    // Written by `write`, read by `completed`, both on the writer thread.
    private var value: R?

    /// `body` is to leave the memory as it was when it throws, or to run guarded.
    init(
        store: LedgerStore,
        reclaims: Bool,
        body: @escaping @Sendable (borrowing WriteTransaction) throws -> R,
        continuation: CheckedContinuation<R, any Error>
    ) {
        self.store = store
        self.reclaims = reclaims
        self.body = body
        self.continuation = continuation
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        try store.check()
        value = try body(transaction)
    }

    func completed(_ result: Result<Void, any Error>) {
        switch (result, value) {
        case (.success, let value?): continuation.resume(returning: value)
        case (.success, nil): preconditionFailure("A piece was committed without having been written.")
        case (.failure(let error), let value):
            // A piece that was not written has changed nothing, and may be on another thread than the store's.
            if value != nil { store.fail(error) }
            continuation.resume(throwing: error)
        }
    }
}

extension Ledger {
    /// Runs `body`, which changes memory and file alike, and waits for its commit.
    func change<R: Sendable>(
        reclaims: Bool = false,
        _ body: @escaping @Sendable (borrowing WriteTransaction) throws -> R
    ) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            writer.submit(StorePiece(store: store, reclaims: reclaims, body: body, continuation: continuation))
        }
    }
}

extension LMDBError {
    /// Whether the writer thread did not take the piece on: nothing has run, and whoever submitted it is told at once
    /// on its own thread.
    var isRefusal: Bool { code == .queueFull || code == .closed }
}
