/// What became of all messages since the ledger was made; written with each transaction, so it is exact after any
/// crash.
public struct LedgerTotals: Hashable, Sendable {
    /// Messages whose handler succeeded, each event once.
    public var processed = 0
    /// Deliveries of an event that was done before, under another offset.
    public var duplicates = 0
    /// Deliveries of a record that was done before, at the same offset.
    public var redelivered = 0
    /// Messages that became dead letters.
    public var deadLettered = 0
    /// Messages that were let go of.
    public var discarded = 0
    /// Duplicates whose payload was not the first one's.
    public var conflicts = 0
    /// Messages that were handed to the outbox.
    public var published = 0
    /// Keys that were forgotten by count before their time was up.
    public var evicted = 0

    static var fields: [WritableKeyPath<LedgerTotals, Int>] {
        [
            \.processed, \.duplicates, \.redelivered, \.deadLettered, \.discarded, \.conflicts, \.published, \.evicted,
        ]
    }

    var encoded: [UInt8] {
        Self.fields.reduce(into: []) { $0.appendLittleEndian(Int64(self[keyPath: $1])) }
    }

    init() {}

    /// Reads what ``encoded`` wrote; fields that it did not have yet are 0.
    init(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            for field in Self.fields { self[keyPath: field] = Int(reader.integer(Int64.self) ?? 0) }
        }
    }
}
