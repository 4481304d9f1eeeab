import Ratchet
import Synchronization

/// One member of a group: what it was told and where it reads. The shell of ``MemberState``.
final class GroupMember: LogFollower {
    let id: GroupCoordinator.MemberID
    let topics: [String]
    private let limits: LogReader.Limits
    private let clock: BrokerClock
    private let state: Mutex<MemberState>

    init(
        id: GroupCoordinator.MemberID,
        topics: [String],
        clock: BrokerClock,
        limits: LogReader.Limits
    ) {
        self.id = id
        self.topics = topics
        self.limits = limits
        self.clock = clock
        state = Mutex(MemberState(seen: clock.now))
    }

    /// When the member was last alive: now, while it waits in `next`.
    func lastSeen(now: Duration) -> Duration { state.withLock { $0.isInNext ? now : $0.seen } }

    /// Whether `next` waits for something to deliver.
    var isWaiting: Bool { state.withLock { $0.isWaiting } }

    // MARK: The session's side

    /// The next event; calls `rejoin` when the member was evicted and everything before that is delivered.
    func next(rejoin: () -> Void) async throws -> SourceEvent {
        try state.withLock { state throws(SourceError) in try state.enterNext(now: clock.now) }
        defer { state.withLock { $0.leaveNext(now: clock.now) } }
        while true {
            try Task.checkCancellation()
            switch state.withLock({ $0.step() }) {
            case .event(let event): return event
            case .failure(let error): throw error
            case .read(let fetch):
                do {
                    if let batch = try read(fetch) { return .messages(batch) }
                } catch let error as SourceError where error.code == .offsetOutOfRange {
                    if let event = state.withLock({ $0.tellGap(fetch) }) { return event }
                }
            case .rejoin: rejoin()
            case .wait: try await wait()
            }
        }
    }

    /// Nil when the partition was taken away, paused or started elsewhere meanwhile, or has nothing after all.
    func read(_ fetch: MemberState.Fetch) throws -> MessageBatch? {
        guard let position = fetch.position else { return nil }
        var place = fetch.place
        let reader = LogReader(fetch.log)
        let found: LogReader.Found?
        do {
            found = try reader.read(
                from: position,
                covering: fetch.delivered,
                generation: fetch.generation,
                limits: limits,
                place: &place
            )
        } catch {
            // Of a topic that was deleted meanwhile, what has gone is no fault.
            guard state.withLock({ $0.isCurrent(fetch) }) else { return nil }
            throw error
        }
        guard let found else { return nil }
        return state.withLock { $0.advance(fetch, past: found, place) } ? found.batch : nil
    }

    private func wait() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { $0.wait(continuation) }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            state.withLock { $0.cancelWait() }?.resume(throwing: CancellationError())
        }
    }

    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) throws(SourceError) {
        let waiter = try state.withLock { state throws(SourceError) in
            let fetch = try state.assignment(of: partition, generation: generation)
            let range = fetch.log.held
            guard 0...range.upperBound ~= offset else { throw LogReader(fetch.log).outOfRange(offset, range) }
            return state.start(partition, at: offset)
        }
        waiter?.resume()
    }

    func setPaused(_ paused: Bool, _ partition: TopicPartition) {
        state.withLock { $0.setPaused(paused, partition) }?.resume()
    }

    /// The partition as it is assigned. Throws ``SourceError``: `notAssigned`.
    func assignment(of partition: TopicPartition) throws(SourceError) -> MemberState.Fetch {
        try state.withLock { state throws(SourceError) in try state.assignment(of: partition) }
    }

    /// The generation of the assignment of the partition, nil if it is not assigned.
    func generation(of partition: TopicPartition) -> Int64? { state.withLock { $0.generation(of: partition) } }

    /// Forgets revoked partitions, which are about to be given back.
    func forgetRevoked(_ partitions: [TopicPartition]) {
        drop { $0.isRevoked && partitions.contains($0.log.partition) }
    }

    // MARK: The group's side

    func assigned(_ assignments: [(Assignment, PartitionLog)]) {
        for (_, log) in assignments { log.follow(self) }
        state.withLock { state in
            for (assignment, log) in assignments {
                state.fetches.append(MemberState.Fetch(log: log, generation: assignment.generation))
            }
            return state.post(.assigned(assignments.map(\.0)))
        }?.resume()
    }

    func revoking(_ partitions: [TopicPartition], within deadline: Duration) {
        state.withLock { state in
            state.revoke(partitions)
            return state.post(.revoking(partitions, within: deadline))
        }?.resume()
    }

    func lost(_ partitions: [TopicPartition]) {
        drop { partitions.contains($0.log.partition) }
        state.withLock { $0.post(.lost(partitions)) }?.resume()
    }

    func evicted(_ partitions: [TopicPartition]) {
        drop { _ in true }
        state.withLock { state in
            state.evict()
            return state.post(partitions.isEmpty ? nil : .lost(partitions))
        }?.resume()
    }

    /// Nothing can be delivered any more: `next` throws `error`, or returns `closed` when it is nil.
    func end(_ error: (any Error)?) {
        drop { _ in true }
        state.withLock { $0.end(error) }?.resume()
    }

    func logHasGrown() {
        let (waiter, watches) = state.withLock { ($0.takeWaiterIfReady(), $0.takeWatches()) }
        waiter?.resume()
        for watch in watches { watch.open() }
    }

    /// Returns once the log is not at this version any more, or the partition may be the member's no more; after `limit`
    /// at the latest.
    func untilChanged(_ log: PartitionLog, from version: Int, within limit: Duration) async throws {
        let watch = Latch()
        state.withLock { $0.watch(watch) }
        defer { state.withLock { $0.unwatch(watch) } }
        // Looked at behind that: a change that comes in between opens the watch.
        if log.version == version {
            await withTaskGroup { group in
                group.addTask { await watch.wait() }
                // Cancellation ends the sleep.
                group.addTask { try? await self.clock.sleep(for: limit) }
                await group.next()
                group.cancelAll()
            }
        }
        try Task.checkCancellation()
    }

    private func drop(_ isDropped: (MemberState.Fetch) -> Bool) {
        let (logs, watches) = state.withLock { state in
            (state.drop(isDropped), state.takeWatches())
        }
        for log in logs { log.unfollow(self) }
        for watch in watches { watch.open() }
    }
}
