/// One message on its way to the ledger, and what is to be written for it.
package struct SettlementEntry: Sendable {
    /// A message that was given up before the ledger saw it.
    package enum Verdict: Sendable {
        case deadLetter(DeadLetter.Reason, any Error)
        case discard(any Error)
    }

    package let batch: KeyedBatch
    package let index: Int32
    /// The number of the attempt that this is, from 1; deliveries that a queue has counted are attempts.
    package var attempt: Int32
    /// The first of a blocked lane: what follows it may pass again.
    package var opensLane = false
    /// Whether it has claimed its key.
    package var holdsClaim = false
    /// It never reached a handler: it waits for nobody.
    package var isFault = false
    /// What came of it before the ledger; nil where the handler runs in the transaction.
    package var result: HandlerResult?

    package var verdict: Verdict? {
        if case .givenUp(let verdict)? = result { return verdict }
        return nil
    }

    package init(batch: KeyedBatch, index: Int32) {
        self.batch = batch
        self.index = index
        attempt = Self.firstAttempt(batch, index)
    }

    private static func firstAttempt(_ batch: KeyedBatch, _ index: Int32) -> Int32 {
        batch.messages.deliveryCounts?[Int(index)] ?? 1
    }

    /// Whether no attempt at it has failed since it was delivered.
    var isUntried: Bool { attempt == Self.firstAttempt(batch, index) }

    package var message: Message { batch.messages[Int(index)] }
    package var offset: Int64 { batch.messages.offset(at: Int(index)) }
    package var fingerprint: UInt64 { batch.isKeyed ? batch.fingerprints[Int(index)] : 0 }

    /// The same message without the result of a run that does not count.
    package var unrun: SettlementEntry {
        var entry = SettlementEntry(batch: batch, index: index)
        entry.attempt = attempt
        entry.holdsClaim = holdsClaim
        return entry
    }
}

/// What came of a message before the ledger sees it. One reference, because entries are copied often.
package enum HandlerResult: Sendable {
    indirect case givenUp(SettlementEntry.Verdict)
    case effects(MessageEffects)
    /// Its key was done when it was looked up, so its handler did not run.
    case duplicate
}

/// A message was taken for a duplicate, and the first one's key has left the window since: its handler has to run after
/// all.
struct ForgottenKeyError: Error, CustomStringConvertible {
    var description: String { "the key that was done before has left the deduplication window meanwhile" }
}

/// What became of a message in the ledger.
package enum SettlementOutcome: Sendable {
    case processed
    /// Its key was done before: nothing ran.
    case duplicate
    /// Its offset was done before: nothing ran.
    case redelivered
    case deadLettered
    case discarded
    /// It waits behind a failed message of its lane.
    case deferred
    /// Its effects were undone: it is to run again.
    case failed(any Error)
    /// Its effects were undone, and the pipeline is to stop.
    case stopped(any Error)
    /// Its lease had ended.
    case fenced
}
