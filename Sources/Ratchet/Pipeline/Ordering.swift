#if BrokenVariants
    import LMDB
#endif

/// Which messages must be handled one after the other.
public enum Ordering: Hashable, Sendable {
    /// Messages of one partition with the same key, in order; messages without a key in no order. The default.
    case key
    /// All messages of a partition, in order.
    case partition
    /// No order at all.
    case none

    /// The lane of a message: messages of one lane run one after the other. Two lanes of a partition may share a number
    /// by accident, or by somebody's design, which only puts their messages in one row; those of two partitions never
    /// do, since one may go while the other stays.
    package func lane(of index: Int, in batch: MessageBatch, slot: Int) -> UInt64 {
        let partition = UInt64(truncatingIfNeeded: slot) &<< 40
        #if BrokenVariants
            if BrokenVariant.keyOrderIgnored.isOn { return partition | Self.ownLane(batch.offset(at: index)) }
        #endif
        switch self {
        case .partition: return partition
        case .key:
            if let key = batch.parts(at: index).key { return partition | Checksum.xxh64(key) &>> 24 }
            return partition | Self.ownLane(batch.offset(at: index))
        case .none: return partition | Self.ownLane(batch.offset(at: index))
        }
    }

    func lane(of entry: SettlementEntry) -> UInt64 {
        let index = Int(entry.index)
        guard entry.batch.lanes.isEmpty else { return entry.batch.lanes[index] }
        return lane(of: index, in: entry.batch.messages, slot: entry.batch.lease.slot)
    }

    private static func ownLane(_ offset: Int64) -> UInt64 {
        withUnsafeBytes(of: offset) { Checksum.xxh64($0, seed: 1) } &>> 24
    }
}
