import Logging
import Synchronization

#if CrashPoints
    import LMDB
#endif

extension PipelineRun {
    /// Remembers the tags of what is durable, until they are acked.
    func noteUnacked(_ entries: [SettlementEntry], _ outcomes: [SettlementOutcome], _ state: inout State) {
        for (entry, outcome) in zip(entries, outcomes) {
            switch outcome {
            case .processed, .duplicate, .redelivered, .deadLettered, .discarded:
                state.owned[entry.batch.lease.slot]?.unacked.append(entry.offset)
            case .deferred, .failed, .stopped, .fenced: break
            }
        }
    }

    /// Acks what is durable: the done prefix of each channel at once, and what is done above it one by one. Never what
    /// the ledger has not synced.
    func ack(_ session: any SourceSession) async {
        let pending = takeUnacked()
        guard !pending.isEmpty else { return }
        do {
            guard let session = session as? any QueueSession else {
                throw SourceError(.invalidArgument, "the source says that it is a queue, and its session cannot ack")
            }
            #if CrashPoints
                CrashPoint.pipelineCommitting.reach()
            #endif
            try await session.ack(pending.map(\.ack))
            #if CrashPoints
                CrashPoint.pipelineCommitted.reach()
            #endif
        } catch {
            // The keys are in the ledger: what comes again is known by them, and nothing is lost.
            logger.warning("acks failed, tried again later", metadata: [LogKeys.error: "\(error)"])
            state.withLock { state in
                for (lease, ack) in pending where !lease.isFenced {
                    state.owned[lease.slot]?.unacked += ack.tags
                    if state.owned[lease.slot]?.uncommitted == nil {
                        state.owned[lease.slot]?.uncommitted = ack.through.map { $0 + 1 }
                    }
                }
            }
        }
    }

    /// Gives back what no handler has been tried on, where the source is a queue.
    func giveBack(_ untried: [UntriedMessages], _ session: any SourceSession) async {
        guard let session = session as? any QueueSession else { return }
        for untried in untried where !untried.tags.isEmpty {
            let lease = untried.lease
            do {
                try await session.giveBack(untried.tags, of: lease.partition, generation: lease.generation)
            } catch {
                // They come back with the channel, as deliveries that count.
                logger.warning(
                    "messages that were not begun could not be given back",
                    metadata: [LogKeys.count: "\(untried.tags.count)", LogKeys.error: "\(error)"]
                )
            }
        }
    }

    private func takeUnacked() -> [(lease: PartitionLease, ack: QueueAck)] {
        state.withLock { state in
            state.scheduler.leases.compactMap { lease in
                let watermark = state.owned[lease.slot]?.uncommitted.take()
                let unacked = state.owned[lease.slot]?.unacked ?? []
                state.owned[lease.slot]?.unacked = []
                let tags = unacked.filter { $0 >= watermark ?? 0 }
                guard watermark != nil || !tags.isEmpty else { return nil }
                let ack = QueueAck(
                    partition: lease.partition,
                    generation: lease.generation,
                    through: watermark.map { $0 - 1 },
                    tags: tags.sorted()
                )
                return (lease, ack)
            }
        }
    }
}

/// A channel's messages that no handler has been tried on, in order.
struct UntriedMessages {
    let lease: PartitionLease
    let tags: [Int64]
}
