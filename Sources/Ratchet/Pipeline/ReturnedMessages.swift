/// A piece's messages as they came back from the ledger, sorted outside of the scheduler's lock: nearly all of them are
/// done with, and are let go of by the batch.
package struct ReturnedMessages {
    /// How many messages of which batch are done with.
    private(set) var finished: [(batch: KeyedBatch, count: Int)] = []
    /// The claims that those held.
    private(set) var claims: [UInt64] = []
    /// Those that run again, or stop the pipeline.
    private(set) var unfinished: [(entry: SettlementEntry, outcome: SettlementOutcome)] = []

    package init(_ entries: [SettlementEntry], _ outcomes: [SettlementOutcome]) {
        for (entry, outcome) in zip(entries, outcomes) {
            switch outcome {
            case .deferred, .failed, .stopped: unfinished.append((entry, outcome))
            case .processed, .duplicate, .redelivered, .deadLettered, .discarded, .fenced:
                if entry.holdsClaim { claims.append(entry.fingerprint) }
                if finished.last?.batch === entry.batch {
                    finished[finished.count - 1].count += 1
                } else {
                    finished.append((entry.batch, 1))
                }
            }
        }
    }
}
