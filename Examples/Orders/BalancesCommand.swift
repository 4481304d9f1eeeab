import ArgumentParser
import Ratchet

/// `orders balances`: what each customer has spent.
struct BalancesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "balances",
        abstract: "Print each customer and what they have spent in cents, sorted by customer.",
        discussion: "Works while a run is in progress, too."
    )

    @Option(help: "The state folder of the runs.")
    var state: String

    func run() async throws {
        try await Failure.reporting {
            guard let reader = try StateFolder.existing(state).openReader() else { return }
            defer { reader.close() }
            var output = LineWriter()
            // Keys are in the order of their bytes.
            try reader.forEach(in: Billing.balances) { customer, cents in
                output.write("\(Text.oneLine(customer))\t\(cents)")
            }
            output.flush()
        }
    }
}

extension StateFolder {
    /// Opens the ledger beside whoever writes it; nil when no run has come so far as to make it.
    func openReader() throws -> LedgerReader? {
        guard hasLedger else { return nil }
        do {
            return try LedgerReader(at: ledger)
        } catch {
            throw Failure(.unusable, "the state folder \(path): \(error)")
        }
    }
}
