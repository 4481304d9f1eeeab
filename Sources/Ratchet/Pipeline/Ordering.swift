/// Which messages must be handled one after the other.
public enum Ordering: Hashable, Sendable {
    /// Messages of one partition with the same key, in order; messages without a key in no order. The default.
    case key
    /// All messages of a partition, in order.
    case partition
    /// No order at all.
    case none

    /// The lane of a message: messages of one lane run one after the other. Two lanes may share a number by accident, which only
    /// puts their messages in one row.
    package func lane(of index: Int, in batch: MessageBatch, slot: Int) -> UInt64 {
        let seed = UInt64(truncatingIfNeeded: slot) &* 0x9E37_79B9_7F4A_7C15
        switch self {
        case .partition: return seed
        case .key:
            if let key = batch.parts(at: index).key { return Checksum.xxh64(key, seed: seed) }
            return Self.ownLane(batch.offset(at: index), seed)
        case .none: return Self.ownLane(batch.offset(at: index), seed)
        }
    }

    func lane(of entry: SettlementEntry) -> UInt64 {
        entry.lane ?? lane(of: Int(entry.index), in: entry.batch.messages, slot: entry.batch.lease.slot)
    }

    private static func ownLane(_ offset: Int64, _ seed: UInt64) -> UInt64 {
        withUnsafeBytes(of: offset) { Checksum.xxh64($0, seed: ~seed) }
    }
}
