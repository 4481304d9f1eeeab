import Logging
import Ratchet
public import ServiceLifecycle
import Synchronization

extension Broker: Service {
    /// Looks for timeouts, for what is older than its retention and for what compaction can remove, until graceful
    /// shutdown or cancellation. The broker stays open: ``close()`` ends it. Without this everything works but for
    /// session timeouts, revoke deadlines, retention by time and compaction.
    ///
    /// Throws ``BrokerError`` when the storage has failed or the broker was closed.
    public func run() async throws {
        let ending = Latch()
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await ending.wait() }
                group.addTask { try await self.tick() }
                defer { group.cancelAll() }
                try await group.next()
            }
        } onGracefulShutdown: {
            // No task of its own, as `cancelWhenGracefulShutdown` starts one: it would escape from a simulation.
            ending.open()
        }
    }

    private func tick() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            var (lastCleaning, lastCompaction) = (clock.now, clock.now)
            // Cancellation ends the sleep.
            while (try? await clock.sleep(for: configuration.tickInterval)) != nil {
                for group in activeGroups { group.tick() }
                cluster?.tick()
                queues.tick()
                for producer in producers.producers { producer.tick() }
                if clock.now - lastCompaction >= configuration.compactionInterval,
                    !isCompacting.exchange(true, ordering: .acquiringAndReleasing)
                {
                    lastCompaction = clock.now
                    // Beside the ticks: a large log takes its time.
                    group.addTask {
                        defer { self.isCompacting.store(false, ordering: .releasing) }
                        do {
                            try await self.withoutFaultsThatPass { try await self.compactWhatIsDue() }
                        } catch is CancellationError {}
                    }
                }
                guard clock.now - lastCleaning >= configuration.retentionInterval else { continue }
                try await withoutFaultsThatPass {
                    try await clean()
                    try await cleanProducers()
                }
                lastCleaning = clock.now
            }
        }
    }

    /// What is not done now, as the writer is busy or the map is full, is done the next time: only the end of the storage
    /// ends the ticks.
    private func withoutFaultsThatPass(_ work: () async throws -> Void) async throws {
        do { try await work() } catch let error as BrokerError where !storage.hasEnded(error) {
            configuration.logger.error(
                "What is due is not done now: it is tried again.",
                metadata: LogKeys.error(error, path: storage.path)
            )
        }
    }

    /// Removes the chunks that are older than their topics' retention, or beyond its size, in transactions of bounded
    /// size.
    func clean() async throws {
        let now = configuration.time.wall()
        for topic in catalog.all {
            for log in topic.logs {
                do { try await clean(log, now: now) } catch let error as BrokerError where error.code == .corrupted {
                    // It is left to be seen, and holds nobody up.
                    configuration.logger.error(
                        "What is old stays in a partition.",
                        metadata: LogKeys.error(error, partition: log.partition)
                    )
                }
            }
        }
    }

    private func clean(_ log: PartitionLog, now: Int64) async throws {
        while let home = log.home {
            do {
                guard try home.read({ try log.isTrimDue(now: now, in: $0, home.tables) }) else { return }
                try await trim(log, now: now, home)
            } catch let error as BrokerError where log.isReplicated && home.hasEnded(error) {
                // A node that is stopped meanwhile, or whose disk fails, trims nothing.
                return
            }
        }
    }

    private func trim(_ log: PartitionLog, now: Int64, _ home: Storage) async throws {
        let (tables, cluster) = (home.tables, cluster)
        _ = try await home.write(reclaims: true) { transaction -> PartitionRow? in
            // Nil once the topic is deleted.
            guard var row = try transaction.partition(log.uid, in: tables) else { return nil }
            try log.trim(&row, now: now, in: transaction, tables)
            try transaction.put(row, for: log.uid, in: tables)
            return row
        } published: { row in
            guard let row else { return }
            if let cluster { cluster.trimmed(log, row, by: home) } else { log.publish(row) }
        }
    }
}

extension Broker {
    /// The record at `offset`, nil when the log does not hold it.
    func message(at offset: Int64, of partition: TopicPartition, generation: Int64) throws -> Message? {
        guard let log = catalog.log(of: partition) else {
            throw SourceError(.unknownTopic, "there is no \(partition)")
        }
        return try message(at: offset, in: log, generation: generation)
    }

    /// The record at `offset` of a log, nil when it does not hold it. Throws ``BrokerError``: `leaderNotAvailable`.
    func message(at offset: Int64, in log: PartitionLog, generation: Int64) throws -> Message? {
        try LogReader(log).message(at: offset, generation: generation)
    }
}
