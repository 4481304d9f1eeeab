import Ratchet
import RatchetBroker

/// What came of everything in a state folder, and of this run.
struct Summary: Sendable {
    /// Messages in the topic of the purchases; of a queue, those that were taken from it and those that wait in it.
    var published = 0
    /// Messages that wait in the queue.
    var waiting = 0
    var totals: LedgerTotals
    /// What the totals were before this run.
    var before: LedgerTotals
    var customers = 0
    var totalCents = 0
    /// Distinct ids in topic `receipts`.
    var receipts = 0
    /// Entries of the outbox that are not confirmed yet.
    var unsent = 0
    var progress: RunProgress.State
    var seconds = 0.0

    init(
        _ broker: Broker,
        _ ledger: Ledger,
        published: Int,
        waiting: Int,
        before: LedgerTotals,
        progress: RunProgress.State
    ) async throws {
        self.published = published
        self.waiting = waiting
        self.before = before
        self.progress = progress
        totals = try ledger.totals()
        unsent = try ledger.reader.outboxCount()
        try ledger.reader.forEach(in: Billing.balances) { _, cents in
            customers += 1
            let (sum, overflow) = totalCents.addingReportingOverflow(cents)
            if overflow { throw Failure(.failed, "the balances' total is beyond what an integer holds") }
            totalCents = sum
        }
        receipts = try await DistinctReceipts(broker: broker).count()
    }

    /// Whether everything was published and processed, and all receipts were sent.
    var isComplete: Bool { progress.isComplete && waiting == 0 && unsent == 0 && progress.oversized.count == 0 }

    /// The summary for programs, on one line.
    var json: String {
        let fields = [
            ("published", published), ("processed", totals.processed), ("duplicates", totals.duplicates),
            ("redelivered", totals.redelivered), ("deadLettered", totals.deadLettered), ("customers", customers),
            ("totalCents", totalCents), ("receipts", receipts),
        ]
        let numbers = fields.map { "\"\($0)\":\($1)" }.joined(separator: ",")
        return "{\(numbers),\"seconds\":\(Text.decimal(seconds, 3))}"
    }
}

extension LedgerTotals {
    /// Messages of which it is known what became of them.
    var settled: Int { processed + duplicates + redelivered + deadLettered + discarded }
}
