import LMDB

/// Positions move under leases only; see ``PartitionLease``.
extension Ledger {
    /// Where the ledger stands in a partition, nil if it does not know it.
    package func position(_ key: [UInt8]) async throws -> OffsetTracker? {
        let store = store
        return try await writer.write { transaction in
            try store.check()
            let position = try store.position(key, in: transaction)
            return position.isKnown ? position.tracker : nil
        }
    }

    /// Takes a partition over for a generation: from then on older leases move nothing. `restart` forgets its position,
    /// and the keys from there on; `skips` moves it to the offset where it is before it. Throws ``LedgerError/Code/fenced`` when a newer generation has it.
    package func lease(
        _ key: [UInt8],
        of partition: TopicPartition,
        generation: Int64,
        slot: Int,
        startingAt offset: Int64,
        restart: Bool,
        skips: Bool = false
    ) async throws -> PartitionLease {
        let store = store
        return try await change { transaction in
            let position = try store.position(key, in: transaction)
            guard generation > position.generation else {
                throw LedgerError(
                    .fenced,
                    "\(partition) is held under generation \(position.generation), asked for \(generation)"
                )
            }
            return try store.guarded {
                if restart { _ = try store.journal.forget(partition, from: offset, in: transaction) }
                if restart || !position.isKnown { position.tracker = OffsetTracker(watermark: offset) }
                if skips { position.tracker.skip(to: offset) }
                position.generation = generation
                position.isKnown = true
                // Written now: an empty run of the pipeline must leave the ledger at the position that it commits.
                try store.write(position, in: transaction)
                return PartitionLease(
                    partition: partition,
                    group: try store.group(in: transaction) ?? "",
                    generation: generation,
                    slot: slot,
                    startOffset: position.tracker.watermark,
                    position: position
                )
            }
        }
    }

    /// Takes everything before `offset` for done, as it is gone from the log. Returns where the partition stands then,
    /// durable; nil, and nothing is changed, unless everything before `position` is done, or when the lease has ended.
    package func skip(to offset: Int64, from position: Int64, under lease: PartitionLease) async throws -> Int64? {
        let store = store
        return try await change { transaction in
            let known = lease.position
            guard !lease.isFenced, known.generation == lease.generation, known.tracker.watermark >= position else {
                return nil
            }
            return try store.guarded {
                known.tracker.skip(to: offset)
                try store.write(known, in: transaction)
                return known.tracker.watermark
            }
        }
    }

    /// A hold on a queue's channel: of its tags nothing is stored, and no other lease can be of it.
    package func channelLease(
        of partition: TopicPartition,
        group: String,
        generation: Int64,
        slot: Int,
        startingAt tag: Int64
    ) -> PartitionLease {
        let position = PartitionPosition(
            key: [],
            tracker: OffsetTracker(watermark: tag),
            generation: generation,
            isKnown: true,
            isStored: false
        )
        return PartitionLease(
            partition: partition,
            group: group,
            generation: generation,
            slot: slot,
            startOffset: tag,
            position: position
        )
    }

    /// Ends leases: once this returns no settlement runs under them any more, and what they have settled is durable and
    /// reported. Throws ``LMDBError`` when too many pieces wait: then nothing is known about those.
    package func fence(_ leases: [PartitionLease]) async throws {
        for lease in leases { lease.fence() }
        do {
            // Behind the one that runs now, which may have looked at the leases before.
            try await writer.write { _ in }
        } catch {
            switch (error as? LMDBError)?.code {
            case .queueFull?: throw error
            case .closed?: await writer.stop()
            // The writer has come to it, and so is past all that was before.
            default: return
            }
        }
    }
}
