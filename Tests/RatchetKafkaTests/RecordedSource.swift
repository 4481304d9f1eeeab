#if Kafka
    import Ratchet
    import RatchetTesting
    import Synchronization
    import Testing

    /// A group's subscription of which a record is kept.
    struct RecordedSource: Source {
        let inner: any Source
        let record: GroupRecord

        var cluster: String { inner.cluster }
        var group: String { inner.group }
        var system: String { inner.system }

        func open() async throws -> any SourceSession { RecordedSession(try await inner.open(), record) }
    }

    /// Records what a member is given, and what it gives. What begins is recorded before, what has ended after.
    private final class RecordedSession: SourceSession {
        private let inner: any SourceSession
        private let record: GroupRecord
        /// Under which generation each partition was started.
        private let started = Mutex<[TopicPartition: Int64]>([:])

        init(_ inner: any SourceSession, _ record: GroupRecord) {
            self.inner = inner
            self.record = record
        }

        func next() async throws -> SourceEvent {
            let event = try await inner.next()
            switch event {
            case .messages(let batch):
                for index in 0..<batch.count { try record.record(batch[index], History.Event.delivered) }
            case .outOfRange(let gap): throw MockProcess.Failure(description: "nothing is deleted, and yet \(gap)")
            case .assigned, .revoking, .lost, .closed: break
            }
            return event
        }

        func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
            // Whoever had it writes nothing more: what it has written is the ledger's by now.
            try record.seeAll()
            try record.record { .assigned(try $0.partition(partition), generation: generation, from: offset) }
            started.withLock { $0[partition] = generation }
            try await inner.start(partition, at: offset, generation: generation)
        }

        func setPaused(_ paused: Bool, _ partition: TopicPartition) { inner.setPaused(paused, partition) }

        func commit(_ commits: [OffsetCommit]) async throws {
            try await inner.commit(commits)
            for commit in commits {
                try record.record { history in
                    .committed(
                        try history.partition(commit.partition),
                        offset: commit.offset,
                        generation: commit.generation
                    )
                }
            }
        }

        func release(_ partitions: [TopicPartition]) async {
            do {
                try record.seeAll()
                for partition in partitions {
                    guard let generation = started.withLock({ $0.removeValue(forKey: partition) }) else { continue }
                    try record.record { .revoked(try $0.partition(partition), generation: generation) }
                }
            } catch { Issue.record(error, "the ledger cannot be read") }
            await inner.release(partitions)
        }

        func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
            try await inner.message(at: offset, of: partition)
        }

        func close() async { await inner.close() }
    }
#endif
