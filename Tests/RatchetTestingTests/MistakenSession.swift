import Ratchet
import Synchronization

/// A session of the in-process broker that makes one mistake.
final class MistakenSession: ForwardedSession, @unchecked Sendable {
    private struct State {
        var assigned: [TopicPartition: Assignment] = [:]
        /// What is told next, whatever the broker says.
        var next: [SourceEvent] = []
        var committed: [TopicPartition: Int64] = [:]
        var isClosed = false
        var hasLost = false
    }

    private let mistake: Mistake.Kind
    private let state = Mutex(State())

    init(_ inner: any SourceSession, _ mistake: Mistake.Kind) {
        self.mistake = mistake
        super.init(inner)
    }

    // MARK: Events

    override func next() async throws -> SourceEvent {
        while true {
            if let event = state.withLock({ $0.next.isEmpty ? nil : $0.next.removeFirst() }) { return event }
            let event = try await super.next()
            if mistake == .sleepsOn, case .messages = event {
                await Latch().wait()
                throw CancellationError()
            }
            if mistake == .losesWhenCancelled, case .messages(let batch) = event, isToBeLost(batch) {
                // Ends with the cancellation.
                await Latch().wait()
                throw CancellationError()
            }
            if let event = try await change(event) { return event }
        }
    }

    /// The first batch of the one check that cancels.
    private func isToBeLost(_ batch: MessageBatch) -> Bool {
        guard batch[0].text.hasPrefix("cancelled-") else { return false }
        return state.withLock { state in
            defer { state.hasLost = true }
            return !state.hasLost
        }
    }

    /// Nil when it is kept secret.
    private func change(_ event: SourceEvent) async throws -> SourceEvent? {
        switch event {
        case .assigned(let assignments):
            state.withLock { state in
                for assignment in assignments { state.assigned[assignment.partition] = assignment }
            }
            return .assigned(assignments.map(change))
        case .messages(let batch): return try change(batch).map { .messages($0) }
        case .revoking(let partitions, _):
            if mistake == .releasesAtOnce { await super.release(partitions) }
        case .closed:
            let wasClosed = state.withLock { state in
                defer { state.isClosed = true }
                return state.isClosed
            }
            if mistake == .closesOnce, wasClosed { throw SourceError(.closed, "said before") }
        case .lost, .outOfRange: break
        }
        return event
    }

    private func change(_ assignment: Assignment) -> Assignment {
        var changed = assignment
        switch mistake {
        case .tellsOldLog: changed.log = 0..<changed.log.upperBound
        case .tellsLongLog: changed.log = changed.log.lowerBound..<changed.log.upperBound + 5
        case .tellsOldCommit: changed.committed?.offset = min(2, assignment.committed?.offset ?? 0)
        case .forgetsTopicID: changed.topicID = changed.partition.topic
        // A pipeline would rightly refuse such a one: its topic has messages.
        case .tellsOldGeneration where changed.log.isEmpty: changed.generation = 1
        default: break
        }
        return changed
    }

    private func change(_ batch: MessageBatch) throws -> MessageBatch? {
        let messages = batch.messages
        switch mistake {
        case .losesMessage:
            return try MessageBatch(messages.filter { $0.text != "ordered-7" }, like: batch, from: batch.startOffset)
        case .repeatsMessage:
            if messages.contains(where: { $0.text == "ordered-7" }) {
                state.withLock { $0.next.append(.messages(batch)) }
            }
            return batch
        case .forgetsHole: return try MessageBatch(messages, like: batch, from: batch.offset(at: 0))
        case .losesEmptyHeader:
            return try MessageBatch(messages, like: batch, from: batch.startOffset) { message in
                message.headers.filter { !$0.value.isEmpty }
            }
        case .renamesEvent where messages[0].text.hasPrefix("event-"):
            return try MessageBatch(messages, like: batch, from: batch.startOffset, headers: renamed)
        case .cutsPayload:
            return try MessageBatch(
                messages,
                like: batch,
                from: batch.startOffset,
                payload: { Array($0.payload.prefix(800_000)) }
            )
        default: return batch
        }
    }

    private func renamed(_ message: Message) -> [Header] {
        message.headers.map {
            $0.name == Header.messageIDName ? .messageID("\($0.text)-\(message.offset)") : $0
        }
    }

    // MARK: Calls

    override func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        let assigned = state.withLock { $0.assigned }
        var (offset, generation) = (offset, generation)
        if let assignment = assigned[partition] {
            if mistake == .startsAtLogStart { offset = assignment.log.lowerBound }
            if mistake == .startsOldGeneration || generation == change(assignment).generation {
                generation = assignment.generation
            }
        }
        try await super.start(partition, at: offset, generation: generation)
        guard mistake == .startsByItself else { return }
        for (other, assignment) in assigned where other != partition {
            try await super.start(other, at: assignment.log.lowerBound, generation: assignment.generation)
        }
        state.withLock { $0.assigned = [:] }
    }

    override func setPaused(_ paused: Bool, _ partition: TopicPartition) {
        if mistake != .ignoresPause { super.setPaused(paused, partition) }
    }

    override func commit(_ commits: [OffsetCommit]) async throws {
        var commits = commits
        for index in commits.indices { change(&commits[index]) }
        let (assigned, isClosed) = state.withLock { ($0.assigned, $0.isClosed) }
        switch mistake {
        case .takesLateCommit where isClosed: return
        case .takesStrangeCommit where commits.contains { assigned[$0.partition] == nil }: return
        case .commitsFirst: try await super.commit(Array(commits.prefix(1)))
        case .commitsPartly: for commit in commits { try await super.commit([commit]) }
        default: try await super.commit(commits)
        }
    }

    private func change(_ commit: inout OffsetCommit) {
        state.withLock { state in
            let assignment = state.assigned[commit.partition]
            if let assignment, mistake == .acceptsOldGeneration || commit.generation == change(assignment).generation {
                commit.generation = assignment.generation
            }
            switch mistake {
            case .cutsMetadata: commit.metadata = String(commit.metadata.prefix(4_000))
            // A pipeline's own commits are left alone.
            case .countsTwice where commit.metadata.isEmpty:
                let last = state.committed.updateValue(commit.offset, forKey: commit.partition)
                if last == commit.offset { commit.offset += 1 }
            default: break
            }
        }
    }

    override func close() async {
        if mistake == .staysAfterClose { return }
        await super.close()
        if mistake == .takesLateCommit { state.withLock { $0.isClosed = true } }
    }

    override func release(_ partitions: [TopicPartition]) async {
        await super.release(partitions)
        state.withLock { state in
            let released = partitions.compactMap { state.assigned.removeValue(forKey: $0) }
            if mistake == .ownsTwice, !released.isEmpty { state.next.append(.assigned(released)) }
        }
    }

    override func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        let message = try await super.message(at: offset, of: partition)
        if mistake == .renamesEvent, let message {
            return try MessageBatch([message], like: message.batch, from: offset, headers: renamed)?[0]
        }
        if mistake == .readsOther, message?.text == "b" {
            return try await super.message(at: offset + 1, of: partition)
        }
        if mistake == .readsPastEnd, let log = state.withLock({ $0.assigned[partition]?.log }), offset >= log.upperBound
        {
            return try await super.message(at: log.upperBound - 1, of: partition)
        }
        return message
    }
}
