import Ratchet

/// A consumer as it is often written: does each message's work, commits by itself, and remembers nothing.
struct PlainConsumer: Sendable {
    enum Commit: Sendable {
        case beforeWork, afterWork
    }

    let lab: Lab
    let commit: Commit
    /// The process dies after so many effects; nil if it does not.
    let deathAfter: Int?

    init(_ lab: Lab, commit: Commit = .afterWork, deathAfter: Int? = nil) {
        self.lab = lab
        self.commit = commit
        self.deathAfter = deathAfter
    }

    /// Works until the end that the log has now.
    func run(_ source: some Source) async throws {
        let session = try await source.open()
        var end: Int64 = 0
        var isDone = false
        var effects = 0
        while !isDone {
            switch try await session.next() {
            case .assigned(let assignments):
                for assignment in assignments {
                    end = assignment.log.upperBound
                    let start = assignment.committed?.offset ?? assignment.log.lowerBound
                    isDone = start >= end
                    try await session.start(assignment.partition, at: start, generation: assignment.generation)
                }
            case .messages(let batch):
                if commit == .beforeWork { try await session.commit([position(after: batch)]) }
                work(batch, &effects)
                if commit == .afterWork { try await session.commit([position(after: batch)]) }
                isDone = batch.lastOffset + 1 >= end
            default:
                isDone = true
            }
        }
        await session.close()
    }

    private func work(_ batch: MessageBatch, _ effects: inout Int) {
        for index in 0..<batch.count {
            lab.tell(.effect, batch[index].text)
            effects += 1
            if effects == deathAfter { OwnProcess.die() }
        }
    }

    private func position(after batch: MessageBatch) -> OffsetCommit {
        OffsetCommit(
            partition: batch.partition,
            offset: batch.lastOffset + 1,
            generation: batch.generation,
            metadata: ""
        )
    }
}
