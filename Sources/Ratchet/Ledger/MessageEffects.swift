import Synchronization

/// What an async handler leaves to be written when its message is settled.
package final class MessageEffects: Sendable {
    package typealias Closure = @Sendable (borrowing LedgerTransaction) throws -> Void

    /// A closure that leaves a lock bare is wrapped in an allocation of its own.
    private struct Work {
        let body: Closure
    }

    private struct State {
        /// Most handlers leave one closure: it needs no array.
        var first: Work?
        var others: [Work] = []
        var outgoing = OutgoingBatch()
    }

    private let state = Mutex(State())

    package init() {}

    package var isEmpty: Bool { state.withLock { $0.first == nil && $0.outgoing.isEmpty } }
    /// The bytes of what is to be published.
    package var byteCount: Int { state.withLock { $0.outgoing.byteCount } }

    package func append(_ closure: @escaping Closure) {
        state.withLock { state in
            let work = Work(body: closure)
            if state.first == nil { state.first = work } else { state.others.append(work) }
        }
    }

    /// Adds a message to what is to be published; `complete` is told how many there are before it.
    package func publish(_ message: OutgoingMessage, complete: (inout OutgoingMessage, Int) -> Void) throws {
        var message = message
        try state.withLock { state in
            complete(&message, state.outgoing.count)
            try state.outgoing.append(message)
        }
    }

    /// Writes all of it, in the order in which it was left.
    func write(in transaction: borrowing LedgerTransaction) throws {
        // Out of the lock: a closure may hold the context that leads here.
        let (first, hasMore) = state.withLock { ($0.first, !$0.others.isEmpty || !$0.outgoing.isEmpty) }
        if hasMore { transaction.scope.publish(state.withLock { $0.outgoing }) }
        try first?.body(transaction)
        guard hasMore else { return }
        for work in state.withLock({ $0.others }) { try work.body(transaction) }
    }
}
