import Ratchet
import Synchronization

/// One membership across a simulated network. Records what it is given and what it gives.
final class SimulatedSession: SourceSession {
    private let inner: any SourceSession
    private let link: SimulatedLink
    private let record: SimulatedRecord
    private let reset: ResumePolicy.Reset
    private let seeEffects: @Sendable () -> Void
    /// Assignments whose offset an operator has set, and to which nobody has put a name yet.
    private let resets = Mutex<[TopicPartition: Assignment]>([:])
    private let controls = Mutex(ControlRecords())

    init(
        _ inner: any SourceSession,
        _ link: SimulatedLink,
        _ record: SimulatedRecord,
        _ reset: ResumePolicy.Reset,
        _ seeEffects: @escaping @Sendable () -> Void
    ) {
        self.inner = inner
        self.link = link
        self.record = record
        self.reset = reset
        self.seeEffects = seeEffects
    }

    func next() async throws -> SourceEvent {
        while true {
            try await link.pass()
            guard let event = try await untilCut() else { continue }
            // What has left the broker when the link is cut arrives once it is whole.
            try await link.pass()
            switch event {
            case .assigned(let assignments): note(assignments)
            case .messages(let fetched):
                guard let batch = controls.withLock({ $0.removed(from: fetched) }) else { continue }
                for index in 0..<batch.count { record.add(batch[index], History.Event.delivered) }
                return .messages(batch)
            default: break
            }
            return event
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

    private func note(_ assignments: [Assignment]) {
        for assignment in assignments {
            record.told(assignment)
            let isReset = assignment.committed?.metadata.isEmpty == true
            resets.withLock { $0[assignment.partition] = isReset ? assignment : nil }
            if isReset, reset == .reprocess { record.mayForget(assignment) }
        }
    }

    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        try await link.call(lostBy: [], mayBeMadeTwice: true) {
            // Messages may arrive before the answer does.
            let place = record.reserve()
            controls.withLock { $0.begin(partition, at: offset) }
            try await inner.start(partition, at: offset, generation: generation)
            record.assigned(partition, generation, from: offset, at: place)
            if resets.withLock({ $0[partition]?.generation == generation }) {
                record.add(problem: "\(partition) was started at \(offset), and an operator's reset still stands")
            }
        }
    }

    func setPaused(_ paused: Bool, _ partition: TopicPartition) { inner.setPaused(paused, partition) }

    func commit(_ commits: [OffsetCommit]) async throws {
        seeEffects()
        for commit in commits { adopt(commit) }
        if link.isHit(by: .badCommits, 50) { throw SimulatedLink.Lost() }
        link.mayArriveAgain { [inner, record] in
            // An outdated one is there to be refused, and one that moves on has come in place of the first, which was lost.
            // Any other is only late, which the ledger is to put up with.
            let telling = commits.filter { record.isOutdated($0.partition, $0.generation) || record.movesOn($0) }
            let place = record.reserve()
            try await inner.commit(commits)
            for commit in telling { record.committed(commit, at: place) }
        }
        try await link.call(mayBeMadeTwice: true) {
            // When it reaches the broker: an earlier owner's comes too late then.
            let place = record.reserve()
            try await inner.commit(commits)
            for commit in commits { record.committed(commit, at: place) }
            if link.isHit(by: .badCommits, 50) { try await inner.commit(commits) }
        }
    }

    /// The pipeline puts its name to an offset that an operator has set, or to its own instead: from here on it is
    /// decided what has become of the reset.
    private func adopt(_ commit: OffsetCommit) {
        // What has died decides nothing.
        guard !link.isDead else { return }
        let assignment = resets.withLock { resets -> Assignment? in
            guard resets[commit.partition]?.generation == commit.generation else { return nil }
            return resets.removeValue(forKey: commit.partition)
        }
        if let assignment { record.adopted(assignment, at: commit.offset, reset) }
    }

    func release(_ partitions: [TopicPartition]) async {
        do { try await link.pass() } catch { return }
        link.mayArriveAgain { [inner] in await inner.release(partitions) }
        await inner.release(partitions)
    }

    func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        try await link.call(mayBeMadeTwice: true) { try await inner.message(at: offset, of: partition) }
    }

    /// Says good-bye, unless nothing comes through: then the broker finds out by itself.
    func close() async {
        if !link.isCut { await inner.close() }
    }
}
