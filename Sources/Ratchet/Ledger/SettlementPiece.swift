import LMDB

/// A settlement on its way through the writer thread.
final class SettlementPiece<Handler: SettlementHandler & Sendable>: WritePiece, @unchecked Sendable {
    let byteCount: Int
    /// Each message undoes its own writes; any other failure ends the ledger's use anyway.
    var failsAlone: Bool { false }
    private let store: LedgerStore
    private let entries: [SettlementEntry]
    private let handler: Handler
    private let publishes: Bool
    private let completion: @Sendable ([SettlementEntry], Result<SettlementReport, any Error>) -> Void
    // Written by `write`, read by `completed`, both on the writer thread.
    private var report: SettlementReport?

    init(
        store: LedgerStore,
        entries: [SettlementEntry],
        handler: Handler,
        publishes: Bool,
        completion: @escaping @Sendable ([SettlementEntry], Result<SettlementReport, any Error>) -> Void
    ) {
        self.store = store
        self.entries = entries
        self.handler = handler
        self.publishes = publishes
        self.completion = completion
        // A record, its share of the index pages, and what the effects carry; state pages are counted once they are in
        // use.
        byteCount = entries.reduce(1 << 16) { size, entry in
            guard case .effects(let effects)? = entry.result else { return size + 128 }
            return size + 128 + effects.byteCount
        }
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        try store.guarded {
            let scope = TransactionScope(entries: entries, publishes: publishes)
            let settlement = Settlement(store: store, handler: handler, scope: scope)
            report = try settlement.settle(entries, in: transaction)
            #if CrashPoints
                CrashPoint.ledgerWritten.reach()
            #endif
        }
    }

    func completed(_ result: Result<Void, any Error>) {
        switch result {
        case .success:
            #if CrashPoints
                CrashPoint.ledgerCommitted.reach()
            #endif
            completion(entries, .success(report ?? SettlementReport()))
        case .failure(let error):
            // The memory has moved on, or later messages of the same keys are on their way: nothing may pass what
            // failed.
            if (error as? LMDBError)?.isRefusal == true {
                // Not on the writer thread, whose the store is; and it is only this pipeline that cannot go on.
                for entry in entries { entry.batch.lease.fence() }
            } else {
                store.fail(error)
            }
            completion(entries, .failure(error))
        }
    }
}
