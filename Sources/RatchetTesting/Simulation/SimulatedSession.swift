import Ratchet
import Synchronization

/// One membership across a simulated network. Records what it is given and what it gives.
final class SimulatedSession: SourceSession {
    private let inner: any SourceSession
    private let link: SimulatedLink
    private let record: SimulatedRecord
    private let seeEffects: @Sendable () -> Void
    private let controls = Mutex(ControlRecords())

    init(
        _ inner: any SourceSession,
        _ link: SimulatedLink,
        _ record: SimulatedRecord,
        _ seeEffects: @escaping @Sendable () -> Void
    ) {
        self.inner = inner
        self.link = link
        self.record = record
        self.seeEffects = seeEffects
    }

    func next() async throws -> SourceEvent {
        while true {
            try await link.pass()
            guard let event = try await untilCut() else { continue }
            // What has left the broker when the link is cut arrives once it is whole.
            try await link.pass()
            guard case .messages(let fetched) = event else { return event }
            guard let batch = controls.withLock({ $0.removed(from: fetched) }) else { continue }
            note(batch)
            return .messages(batch)
        }
    }

    /// The next event, nil if the link was cut before: the broker hears nothing of this member then.
    private func untilCut() async throws -> SourceEvent? {
        let (inner, cutting) = (inner, link.cutting)
        return try await withThrowingTaskGroup(of: SourceEvent?.self) { group in
            group.addTask {
                do { return try await inner.next() } catch is CancellationError { return nil }
            }
            group.addTask {
                await cutting.wait()
                return nil
            }
            var event = try await group.next() ?? nil
            group.cancelAll()
            while let other = try await group.next() { event = event ?? other }
            try Task.checkCancellation()
            return event
        }
    }

    private func note(_ batch: MessageBatch) {
        for index in 0..<batch.count {
            let message = batch[index]
            record.add { history in
                .delivered(
                    history.message(message.name),
                    try history.partition(message.topicPartition),
                    offset: message.offset,
                    generation: message.generation
                )
            }
        }
    }

    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        try await link.pass()
        // Messages may arrive before the answer does.
        let place = record.reserve()
        controls.withLock { $0.begin(partition, at: offset) }
        try await inner.start(partition, at: offset, generation: generation)
        record.assigned(partition, generation)
        record.add(at: place) { .assigned(try $0.partition(partition), generation: generation, from: offset) }
        try await link.pass()
    }

    func setPaused(_ paused: Bool, _ partition: TopicPartition) { inner.setPaused(paused, partition) }

    func commit(_ commits: [OffsetCommit]) async throws {
        seeEffects()
        if link.weather.hasBadCommits, link.chance(50) { throw SimulatedLink.Lost() }
        try await link.call {
            // When it reaches the broker: an earlier owner's comes too late then.
            let place = record.reserve()
            try await inner.commit(commits)
            for commit in commits {
                record.add(at: place) { history in
                    let partition = try history.partition(commit.partition)
                    return .committed(partition, offset: commit.offset, generation: commit.generation)
                }
            }
            if link.weather.hasBadCommits { try await inner.commit(commits) }
        }
    }

    func release(_ partitions: [TopicPartition]) async {
        do { try await link.pass() } catch { return }
        await inner.release(partitions)
    }

    func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        try await link.call { try await inner.message(at: offset, of: partition) }
    }

    /// Says good-bye, unless nothing comes through: then the broker finds out by itself.
    func close() async {
        if !link.isCut { await inner.close() }
    }
}
