import CLMDB
import Synchronization

// For simulations: a commit that fails, and the end of the process after it.
extension Environment {
    /// How a commit fails. Either way an I/O error is all that its caller learns.
    package enum CommitFault: Sendable {
        /// Nothing of it has reached the file.
        case unwritten
        /// All of it has, as where only the flush behind it fails.
        case written
    }

    /// Has the next commit fail; nil for no more.
    package func failNextCommit(_ fault: CommitFault?) { commitFault.withLock { $0 = fault } }

    /// Commits, and answers as LMDB does.
    func finish(_ transaction: OpaquePointer) -> Int32 {
        switch commitFault.withLock({ $0.take() }) {
        case nil: return mdb_txn_commit(transaction)
        case .unwritten?: mdb_txn_abort(transaction)
        case .written?:
            let number = mdb_txn_commit(transaction)
            if number != 0 { return number }
        }
        return Platform.inputOutput
    }

    /// Closes as the end of the process does: whoever opens it after a failure stands for a new one.
    package func abandon() {
        close()
        Registry.forget(identity)
    }
}
