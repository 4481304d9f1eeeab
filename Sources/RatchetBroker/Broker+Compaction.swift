import Logging
import Ratchet

extension Broker {
    /// Compacts a topic's partitions now, whatever is new in them, and returns once of each key only the newest message
    /// is left, but for each partition's newest chunk, which stays as it is. ``run()`` does so now and then by itself.
    ///
    /// With several nodes each one compacts its own log, the nodes that run one after the other, and only what it knows
    /// to be on all in-sync replicas: so nodes may differ in what they still hold of a key's older messages.
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
                do { try await compact(log, whereDue: true) } catch let error as BrokerError
                    where error.code == .corrupted
                {
                    configuration.logger.error(
                        "A partition is not compacted.",
                        metadata: LogKeys.error(error, partition: log.partition)
                    )
                }
            }
        }
    }

    /// Compacts a partition wherever it lies, also where it is damaged elsewhere.
    private func compact(_ log: PartitionLog, whereDue: Bool = false) async throws {
        await log.compactionTurn.take()
        defer { log.compactionTurn.pass() }
        let own = [OwnLog(log: log, storage: storage)]
        var failure: BrokerError?
        for place in cluster.map({ $0.compactableLogs(of: log) as [any CompactableLog] }) ?? own {
            do { try await compact(place, deleteRetention: log.settings.deleteRetention, ifDue: whereDue) } catch {
                guard let error = error as? BrokerError else { throw error }
                switch error.code {
                case .corrupted: failure = failure ?? error
                // The node was stopped, or its disk has failed: it compacts when it runs again.
                case .closed where place.isReplica, .storage where place.isReplica: continue
                default: throw error
                }
            }
        }
        if let failure { throw failure }
    }

    private func compact(_ log: any CompactableLog, deleteRetention: Duration, ifDue: Bool) async throws {
        let (limit, overflow) = configuration.time.wall().subtractingReportingOverflow(deleteRetention.milliseconds)
        let compaction = LogCompaction(
            log: log,
            memory: configuration.compactionMemory,
            tombstonesBefore: overflow ? .min : limit
        )
        if ifDue, try !compaction.isDue() { return }
        let outcome = try await compaction.run()
        configuration.logger.info(
            "A partition is compacted.",
            metadata: LogKeys.compacted(log.partition, log.storage.path, outcome.bytesBefore, outcome.bytesAfter)
        )
    }
}
