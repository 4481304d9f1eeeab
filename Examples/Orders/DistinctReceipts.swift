import Ratchet
import RatchetBroker

/// Counts the receipts in the topic, each id once: after a crash the outbox may have sent one again, under the same id.
struct DistinctReceipts {
    /// How many ids are in memory at a time, as 16 bytes each.
    private static let idsPerPass = 4_000_000
    let broker: Broker

    func count() async throws -> Int {
        let partitions = try broker.describe(Billing.receipts).partitions
        let stored = partitions.reduce(0) { $0 + $1.log.count }
        // Each pass looks at the ids of one part of the hashes only, so that the memory is bounded.
        let passes = stored / Self.idsPerPass + 1
        var count = 0
        for pass in 0..<passes {
            var ids: Set<HashedID> = []
            ids.reserveCapacity(stored / passes)
            for partition in partitions {
                for try await batch in try broker.read(partition.partition) {
                    insert(batch, into: &ids) { $0.high % UInt64(passes) == pass }
                }
            }
            count += ids.count
        }
        return count
    }

    private func insert(_ batch: MessageBatch, into ids: inout Set<HashedID>, where isWanted: (HashedID) -> Bool) {
        for index in 0..<batch.count {
            guard let bytes = batch[index].header(Header.messageIDName) else { continue }
            let id = HashedID(bytes)
            if isWanted(id) { ids.insert(id) }
        }
    }
}

/// An id as 128 bits of a hash: for two of a billion to share one is less likely than for the machine to count wrong.
private struct HashedID: Hashable {
    let high: UInt64
    let low: UInt64

    init(_ bytes: [UInt8]) {
        high = Self.hash(bytes, 0)
        low = Self.hash(bytes, 1)
    }

    private static func hash(_ bytes: [UInt8], _ half: UInt8) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(half)
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
