import Logging
import Ratchet

extension Broker {
    /// Compacts a topic's partitions now, whatever is new in them, and returns once of each key only the newest message
    /// is left, but for each partition's newest chunk, which stays as it is. ``run()`` does so now and then by itself.
    ///
    /// Works in pieces: other calls go on meanwhile, and a crash or a cancellation at any moment leaves a correct log.
    /// Offsets never change. Memory: ``Configuration/compactionMemory``. Throws ``BrokerError``: `unknownTopic`,
    /// `invalidArgument` for a topic whose ``TopicSettings/cleanup`` does not compact, `corrupted` for a partition with a
    /// damaged chunk, once the others are compacted.
    public func compact(_ topic: String) async throws {
        let topic = try existing(topic)
        guard topic.row.settings.cleanup.compacts else {
            throw BrokerError(
                .invalidArgument,
                "topic '\(topic.name)' has cleanup '\(topic.row.settings.cleanup)': alter it to 'compact' or 'both'"
            )
        }
        var failure: BrokerError?
        for log in topic.logs {
            do { try await compact(log) } catch let error as BrokerError where error.code == .corrupted {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Compacts what is worth its while; a damaged partition is left to be seen and holds nobody up.
    func compactWhatIsDue() async throws {
        for topic in catalog.all where topic.row.settings.cleanup.compacts {
            for log in topic.logs {
                let isDue = log.compaction.isDue(
                    bytes: log.bytes,
                    end: log.range.upperBound,
                    tombstonesBefore: tombstonesBefore(log)
                )
                guard isDue else { continue }
                do { try await compact(log) } catch let error as BrokerError where error.code == .corrupted {
                    configuration.logger.error(
                        "A partition is not compacted.",
                        metadata: LogKeys.error(error, partition: log.partition)
                    )
                }
            }
        }
    }

    private func tombstonesBefore(_ log: PartitionLog) -> Int64 {
        let (limit, overflow) = configuration.time.wall()
            .subtractingReportingOverflow(log.settings.deleteRetention.milliseconds)
        return overflow ? .min : limit
    }

    private func compact(_ log: PartitionLog) async throws {
        guard let home = log.home else { return }
        let compaction = LogCompaction(
            log: log,
            storage: home,
            memory: configuration.compactionMemory,
            tombstonesBefore: tombstonesBefore(log)
        )
        let outcome = try await compaction.run()
        configuration.logger.info(
            "A partition is compacted.",
            metadata: LogKeys.compacted(log.partition, outcome.bytesBefore, outcome.bytesAfter)
        )
    }
}
