/// What a pipeline brings to a settlement: its handler, and what to do when it throws.
package protocol SettlementHandler {
    /// Writes what the message leaves in the ledger.
    func run(_ entry: SettlementEntry, in transaction: borrowing LedgerTransaction) throws
    /// What to do about a handler's error.
    func decide(_ error: any Error, for entry: SettlementEntry) -> RetryPolicy.Decision
    /// The lane whose messages wait for this one.
    func lane(of entry: SettlementEntry) -> UInt64
    /// What a payload is told apart by, where the same key comes again; the first 32 bits of its digest by default.
    var conflicts: PayloadConflict { get }
    /// How long a handler may hold the writer, in nanoseconds, before it is named.
    var slowAfter: Int64 { get }
}

/// What came of a settlement, for its pipeline.
package struct SettlementReport {
    package var outcomes: [SettlementOutcome] = []
    /// Where each touched partition stands now.
    package var watermarks: [(lease: PartitionLease, watermark: Int64)] = []
    /// Entries whose payload was not the first one's.
    package var conflicts: [Int] = []
    /// Entries that held the writer for too long, with nanoseconds.
    package var slow: [(entry: Int, nanoseconds: Int64)] = []
    /// Keys that were forgotten before their time.
    package var evicted = 0
    package var published = 0
    package var isWindowFull = false
}
