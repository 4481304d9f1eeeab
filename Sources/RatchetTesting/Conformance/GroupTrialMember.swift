import Ratchet

/// A member of a group, as a check drives it: one task at a time.
struct GroupTrialMember: Sendable {
    let session: any SourceSession
    let name: String
    private let trial: Trial

    init(_ session: any SourceSession, name: String, trial: Trial) {
        self.session = session
        self.name = name
        self.trial = trial
    }

    func next() async throws -> SourceEvent {
        trial.note("\(name) waits for the next event")
        let event = try await session.next()
        trial.note("\(name) gets \(event.story)")
        return event
    }

    /// Waits until so many partitions are assigned; sorted.
    func assigned(_ count: Int = 1) async throws -> [Assignment] {
        var all: [Assignment] = []
        while all.count < count {
            let event = try await next()
            guard case .assigned(let assignments) = event else {
                throw unexpected(event, "\(count) partitions to be assigned")
            }
            all += assignments
        }
        try trial.expect(
            all.count == count && Set(all.map(\.partition)).count == count,
            "\(name) expected \(count) partitions to be assigned, each once, and was given \(all.map(\.partition))"
        )
        return all.sorted { $0.partition < $1.partition }
    }

    /// Waits for the topic's one partition, and starts it where the group is, else where the log begins.
    func started() async throws -> Assignment {
        let assignment = try await assigned()[0]
        try await start(assignment)
        return assignment
    }

    func start(_ assignment: Assignment) async throws {
        try await start(assignment, at: assignment.committed?.offset ?? assignment.log.lowerBound)
    }

    func start(_ assignment: Assignment, at offset: Int64) async throws {
        trial.note("\(name) starts \(assignment.partition) at \(offset)")
        try await session.start(assignment.partition, at: offset, generation: assignment.generation)
    }

    /// Takes the next messages, which must be these, in this order, and no event beside them. Returns them.
    @discardableResult
    func expect(_ texts: [String]) async throws -> [Message] {
        var messages: [Message] = []
        while messages.count < texts.count {
            let event = try await next()
            guard case .messages(let batch) = event else { throw unexpected(event, "'\(texts[messages.count])'") }
            for index in 0..<batch.count {
                let expected = messages.count < texts.count ? "'\(texts[messages.count])'" : "nothing more"
                try trial.expect(
                    expected == "'\(batch[index].text)'",
                    "\(name) expected \(expected), and got '\(batch[index].text)' at offset \(batch.offset(at: index))"
                )
                messages.append(batch[index])
            }
        }
        return messages
    }

    /// Waits until partitions are to be given back.
    func revoking() async throws -> [TopicPartition] {
        let event = try await next()
        guard case .revoking(let partitions, _) = event else { throw unexpected(event, "a revocation") }
        return partitions
    }

    func commit(_ assignment: Assignment, _ offset: Int64, metadata: String = "") async throws {
        trial.note("\(name) commits \(offset) in \(assignment.partition) of generation \(assignment.generation)")
        try await session.commit([
            OffsetCommit(
                partition: assignment.partition,
                offset: offset,
                generation: assignment.generation,
                metadata: metadata
            )
        ])
    }

    func close() async {
        trial.note("\(name) closes")
        await session.close()
    }

    private func unexpected(_ event: SourceEvent, _ expected: String) -> ConformanceFailure {
        ConformanceFailure("\(name) expected \(expected), and got \(event.story)")
    }
}

extension SourceEvent {
    /// What it says, in brief.
    var story: String {
        switch self {
        case .assigned(let assignments):
            "assigned "
                + assignments.map {
                    "\($0.partition) of generation \($0.generation) with \($0.log), "
                        + "committed \($0.committed.map { "\($0.offset)" } ?? "nothing")"
                }.joined(separator: "; ")
        case .messages(let batch):
            "\(batch.count) messages of \(batch.partition), from \(batch.startOffset) to \(batch.lastOffset)"
        case .revoking(let partitions, let limit): "revoking \(partitions) within \(limit)"
        case .lost(let partitions): "lost \(partitions)"
        case .outOfRange(let gap): "\(gap.position) of \(gap.partition) out of range \(gap.log)"
        case .closed: "closed"
        }
    }
}
