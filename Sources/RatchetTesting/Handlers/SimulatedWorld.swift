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
        try handling.fail(self, if: link.weather.losesAnswers, percent: 60)
    }

    /// Has an effect outside now: it stays, whatever becomes of the process and the message. Throws `CancellationError`
    /// when the process has died.
    public func effect(_ name: String = "effect") throws { try happen(name, nil) }

    private func happen(_ name: String, _ key: IdempotencyKey?) throws {
        if handling.link.isDead { throw CancellationError() }
        if let key, !handling.record.isNew("\(name) \(key)") { return }
        handling.record.add { history in
            let event = History.Event.effect(
                history.message(message.name),
                try history.partition(message.topicPartition),
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

/// Effects in the ledger: one row for each time, so that nothing that is done twice can look like once.
enum LedgerEffects {
    private static let table = StateTable<String, String>("simulated effects")

    static func add(_ name: String, of message: Message, in transaction: borrowing LedgerTransaction) throws {
        let id = message.name
        var number = 0
        while try transaction.get(table, "\(id)\t\(name)\t\(number)") != nil { number += 1 }
        let place = "\(message.partition) \(message.offset) \(message.generation)"
        try transaction.put(table, "\(id)\t\(name)\t\(number)", place)
    }

    static func all(_ reader: LedgerReader) throws -> [SimulatedEffect] {
        var effects: [SimulatedEffect] = []
        try reader.forEach(in: table) { key, place in
            let fields = key.split(separator: "\t", omittingEmptySubsequences: false)
            let numbers = place.split(separator: " ").compactMap { Int64($0) }
            guard fields.count == 3, let number = Int(fields[2]), numbers.count == 3 else { return }
            effects.append(
                SimulatedEffect(
                    message: String(fields[0]),
                    partition: TopicPartition(World.topic, Int(numbers[0])),
                    offset: numbers[1],
                    generation: numbers[2],
                    number: number,
                    name: String(fields[1])
                )
            )
        }
        return effects
    }
}
