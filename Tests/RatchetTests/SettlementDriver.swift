import LMDB

@testable import Ratchet

/// A handler made of closures. By default it counts each message in the table ``counts`` under its id.
struct ScriptedHandler: SettlementHandler, Sendable {
    static let counts = StateTable<String, Int>("counts")

    var body: @Sendable (SettlementEntry, borrowing LedgerTransaction) throws -> Void = { entry, transaction in
        let id = entry.batch.key(at: Int(entry.index))?.description ?? "\(entry.offset)"
        try transaction.update(Self.counts, id, default: 0) { $0 += 1 }
    }
    var decision: @Sendable (any Error, SettlementEntry) -> RetryPolicy.Decision = { _, _ in .retry }
    var conflicts = PayloadConflict.keepFirst
    var slowAfter = Int64.max

    func run(_ entry: SettlementEntry, in transaction: borrowing LedgerTransaction) throws {
        try body(entry, transaction)
    }
    func decide(_ error: any Error, for entry: SettlementEntry) -> RetryPolicy.Decision { decision(error, entry) }
    func lane(of entry: SettlementEntry) -> UInt64 { Ordering.key.lane(of: entry) }
}

/// A pipeline's part in a settlement, by hand, under one lease.
final class SettlementDriver: Sendable {
    let ledger: Ledger
    let lease: PartitionLease
    let keys: KeySource<Message>

    init(
        _ ledger: Ledger,
        partition: Int = 0,
        generation: Int64 = 1,
        startingAt offset: Int64 = 0,
        restart: Bool = false,
        keys: KeySource<Message> = .messageID
    ) async throws {
        self.ledger = ledger
        self.keys = keys
        lease = try await ledger.lease(
            Self.key(partition),
            of: TopicPartition("orders", partition),
            generation: generation,
            slot: Int(generation),
            startingAt: offset,
            restart: restart
        )
    }

    static func key(_ partition: Int) -> [UInt8] {
        PositionLayout.key(cluster: "test", topic: "orders", partition: partition, group: "billing")
    }

    func entries(_ samples: [SampleMessage], start: Int64? = nil) throws -> [SettlementEntry] {
        let intake = Intake(decoder: .raw, keys: keys, fingerprint: ledger.journal.fingerprint, ordering: nil)
        let batch = try MessageBatch(samples, of: lease.partition, generation: lease.generation, start: start)
        let keyed = intake.take(batch, under: lease)
        return samples.indices.map { index in
            var entry = SettlementEntry(batch: keyed, index: Int32(index))
            if let fault = keyed.faults[index] {
                entry.result = .givenUp(.deadLetter(fault.reason, fault.error))
                entry.isFault = true
            }
            return entry
        }
    }

    @discardableResult
    func settle(
        _ samples: [SampleMessage],
        start: Int64? = nil,
        with handler: ScriptedHandler = ScriptedHandler()
    ) async throws -> SettlementReport {
        try await settle(try entries(samples, start: start), with: handler)
    }

    /// Settles entries as one piece; returns when it is durable.
    @discardableResult
    func settle(
        _ entries: [SettlementEntry],
        with handler: ScriptedHandler = ScriptedHandler(),
        publishes: Bool = true
    ) async throws -> SettlementReport {
        try await withCheckedThrowingContinuation { continuation in
            submit(entries, with: handler, publishes: publishes) { continuation.resume(with: $0) }
        }
    }

    /// Hands a piece over and does not wait.
    func submit(
        _ entries: [SettlementEntry],
        with handler: ScriptedHandler = ScriptedHandler(),
        publishes: Bool = true,
        completion: @escaping @Sendable (Result<SettlementReport, any Error>) -> Void
    ) {
        ledger.settle(entries, with: handler, publishes: publishes) { _, result in
            completion(result)
        }
    }

    /// Where the ledger stands in the partition.
    var watermark: Int64? {
        get async throws { try await ledger.position(Self.key(lease.partition.partition))?.watermark }
    }
}

extension SettlementReport {
    /// The outcomes by name, to be compared.
    var names: [String] {
        outcomes.map { outcome in
            switch outcome {
            case .processed: "processed"
            case .duplicate: "duplicate"
            case .redelivered: "redelivered"
            case .deadLettered: "deadLettered"
            case .discarded: "discarded"
            case .deferred: "deferred"
            case .failed: "failed"
            case .stopped: "stopped"
            case .fenced: "fenced"
            }
        }
    }
}

extension Ledger.Configuration {
    /// A small ledger without flushes, for tests that need no crash.
    static var quick: Ledger.Configuration {
        var configuration = Ledger.Configuration()
        configuration.isDurable = false
        configuration.mapSize = 1 << 30
        configuration.quota = 1 << 30
        return configuration
    }
}
