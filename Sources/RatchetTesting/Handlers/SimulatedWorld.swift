public import Ratchet

/// What lies around a handler in a simulation: services outside of its process, a clock, and a place in the ledger where
/// effects can be counted.
///
/// A handler under proof says by it what it does: ``call(_:idempotencyKey:)`` and ``effect(_:)`` for what happens
/// outside, which no crash takes back, and ``effect(_:in:)`` for what happens in the ledger's transaction. Each effect
/// has a name; each message is to have each of them once.
public struct SimulatedWorld: Sendable {
    let message: Message
    let attempt: Int
    let handling: SimulatedHandling

    /// The simulation's clock: the only one that a handler under proof may wait by. Time passes in it while nothing can
    /// run.
    public var clock: any Clock<Duration> { handling.clock }

    /// Calls a service outside, which has the effect and then answers: 1 to 50 ms to get there, 1 to 200 ms back. If the
    /// process dies in between, the effect is there and nobody in the process knows.
    ///
    /// A service that is given an idempotency key has the effect once for each key, and answers every call.
    ///
    /// Throws `CancellationError` when the process has died or the partition was taken away, and ``SimulatedFailure``
    /// where the faults have the answer lost: what the handler is to do then is to throw it on.
    public func call(_ effect: String = "effect", idempotencyKey: IdempotencyKey? = nil) async throws {
        let link = handling.link
        try await handling.clock.sleep(for: .milliseconds(1 + link.draw(below: 50)))
        try happen(effect, idempotencyKey)
        try await handling.clock.sleep(for: .milliseconds(1 + link.draw(below: 200)))
        try handling.fail(self, by: .loseAnswers, percent: 60)
    }

    /// Has an effect outside now: it stays, whatever becomes of the process and the message. Throws `CancellationError`
    /// when the process has died.
    public func effect(_ name: String = "effect") throws { try happen(name, nil) }

    private func happen(_ name: String, _ key: IdempotencyKey?) throws {
        if handling.link.isDead { throw CancellationError() }
        if let key, !handling.record.isNew("\(name) \(key)") { return }
        let partition = handling.record.name(of: message.topicPartition, message.generation)
        handling.record.add { history in
            let event = History.Event.effect(
                history.message(message.name),
                try history.partition(partition),
                offset: message.offset,
                generation: message.generation
            )
            return history.naming(event, EffectName(text: name, isOutside: true))
        }
    }

    /// Has an effect in the ledger: it is there if and only if the transaction is. To be called in the handler's
    /// transaction or in `onCommit`, beside the writes that it stands for. Throws ``/LMDB/LMDBError``.
    public func effect(_ name: String = "effect", in transaction: borrowing LedgerTransaction) throws {
        try LedgerEffects.add(name, of: message, in: transaction)
    }
}
