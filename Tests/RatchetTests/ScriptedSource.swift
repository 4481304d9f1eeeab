import Synchronization

@testable import Ratchet

/// A consumer group's session of which a test plays the broker: it says what happens, and sees all that the pipeline
/// does, in order.
final class ScriptedSource: Source, RereadableSession {
    /// What the pipeline did.
    enum Call: Hashable, Sendable {
        case start(TopicPartition, at: Int64)
        case pause(TopicPartition)
        case resume(TopicPartition)
        case commit(TopicPartition, Int64)
        case release(TopicPartition)
        case reread(TopicPartition, from: Int64)
        case close
    }

    private struct State {
        var events: [SourceEvent] = []
        var polling: CheckedContinuation<SourceEvent, Never>?
        var calls: [Call] = []
        var watchers: [(condition: @Sendable ([Call]) -> Bool, latch: Latch)] = []
        var hearing: [Latch] = []
        var isClosed = false
    }

    let cluster = "test"
    let group = "billing"
    let system = "ratchet"
    let inFlightLimit: Int?
    /// Runs before a commit is taken.
    let committing: @Sendable ([OffsetCommit]) async throws -> Void
    /// The records that can be read again.
    let records: @Sendable (Int64) -> SampleMessage?
    /// Runs before they are read again from an offset on.
    let rereading: @Sendable (Int64) throws -> Void
    private let state = Mutex(State())

    init(
        inFlightLimit: Int? = nil,
        records: @escaping @Sendable (Int64) -> SampleMessage? = { _ in nil },
        rereading: @escaping @Sendable (Int64) throws -> Void = { _ in },
        committing: @escaping @Sendable ([OffsetCommit]) async throws -> Void = { _ in }
    ) {
        self.inFlightLimit = inFlightLimit
        self.records = records
        self.rereading = rereading
        self.committing = committing
    }

    // MARK: The test's side

    var calls: [Call] { state.withLock { $0.calls } }

    /// The last offset that was committed.
    func committed(_ partition: TopicPartition = .orders) -> Int64? {
        calls.compactMap { if case .commit(partition, let offset) = $0 { offset } else { nil } }.last
    }

    func say(_ event: SourceEvent) {
        let polling = state.withLock { state in
            guard let polling = state.polling.take() else {
                state.events.append(event)
                return nil as CheckedContinuation<SourceEvent, Never>?
            }
            return polling
        }
        polling?.resume(returning: event)
    }

    /// Assigns a partition and waits until it is started.
    func assign(
        _ partition: TopicPartition = .orders,
        generation: Int64 = 1,
        committed: CommittedOffset? = nil,
        log: Range<Int64> = 0..<1000
    ) async {
        let before = calls.count
        offer(partition, generation: generation, committed: committed, log: log)
        await until { calls in
            calls[before...].contains { if case .start(partition, _) = $0 { true } else { false } }
        }
    }

    /// Assigns a partition and does not wait.
    func offer(
        _ partition: TopicPartition = .orders,
        generation: Int64 = 1,
        committed: CommittedOffset? = nil,
        log: Range<Int64> = 0..<1000
    ) {
        let assignment = Assignment(
            partition: partition,
            topicID: nil,
            generation: generation,
            committed: committed,
            log: log
        )
        say(.assigned([assignment]))
    }

    func deliver(
        _ samples: [SampleMessage],
        of partition: TopicPartition = .orders,
        generation: Int64 = 1,
        start: Int64? = nil
    ) throws {
        say(.messages(try MessageBatch(samples, of: partition, generation: generation, start: start)))
    }

    /// Waits until the calls are as they should be.
    func until(_ condition: @escaping @Sendable ([Call]) -> Bool) async {
        let latch = Latch()
        let isTrue = state.withLock { state in
            if condition(state.calls) { return true }
            state.watchers.append((condition, latch))
            return false
        }
        if !isTrue { await latch.wait() }
    }

    /// Waits until the pipeline has dealt with all that was said and asks for more.
    func untilHeard() async {
        let latch = Latch()
        let isHeard = state.withLock { state in
            if state.polling != nil { return true }
            state.hearing.append(latch)
            return false
        }
        if !isHeard { await latch.wait() }
    }

    private func note(_ call: Call) {
        let latches = state.withLock { state in
            state.calls.append(call)
            let calls = state.calls
            let met = state.watchers.filter { $0.condition(calls) }
            state.watchers.removeAll { watcher in met.contains { $0.latch === watcher.latch } }
            return met.map(\.latch)
        }
        for latch in latches { latch.open() }
    }

    // MARK: The pipeline's side

    func open() async throws -> any SourceSession { self }

    func next() async throws -> SourceEvent {
        try await withTaskCancellationHandler {
            let event = await withCheckedContinuation { continuation in
                let (event, hearing): (SourceEvent?, [Latch]) = state.withLock { state in
                    if !state.events.isEmpty { return (state.events.removeFirst(), []) }
                    if state.isClosed || Task.isCancelled { return (.closed, []) }
                    state.polling = continuation
                    defer { state.hearing = [] }
                    return (nil, state.hearing)
                }
                if let event { continuation.resume(returning: event) }
                for latch in hearing { latch.open() }
            }
            try Task.checkCancellation()
            return event
        } onCancel: {
            state.withLock { $0.polling.take() }?.resume(returning: .closed)
        }
    }

    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        note(.start(partition, at: offset))
    }

    func setPaused(_ paused: Bool, _ partition: TopicPartition) {
        note(paused ? .pause(partition) : .resume(partition))
    }

    func commit(_ commits: [OffsetCommit]) async throws {
        try await committing(commits)
        for commit in commits { note(.commit(commit.partition, commit.offset)) }
    }

    func release(_ partitions: [TopicPartition]) async {
        for partition in partitions { note(.release(partition)) }
    }

    func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        try records(offset).map { try MessageBatch([$0], of: partition)[0] }
    }

    /// Two at a time.
    func messages(from offset: Int64, to end: Int64, of partition: TopicPartition) async throws -> MessageBatch? {
        note(.reread(partition, from: offset))
        try rereading(offset)
        let samples = (offset..<end).lazy.compactMap { self.records($0) }.prefix(2)
        return samples.isEmpty ? nil : try MessageBatch(Array(samples), of: partition)
    }

    func close() async {
        note(.close)
        let polling = state.withLock { state in
            state.isClosed = true
            return state.polling.take()
        }
        polling?.resume(returning: .closed)
    }
}

extension TopicPartition {
    /// The partition of most tests.
    static let orders = TopicPartition("orders", 0)
}
