import Ratchet
import Synchronization

// The partitions: which topic they are of, who has them, and what operators do to them.
extension SimulatedRecord {
    typealias Making = (MessageID, PartitionID, Int64, Int64) -> History.Event

    /// Records what became of a message.
    func add(_ message: Message, _ make: Making) {
        let name = name(of: message.topicPartition, message.generation)
        add { history in
            make(history.message(message.name), try history.partition(name), message.offset, message.generation)
        }
    }

    /// What the history calls the partition of a generation.
    func name(of partition: TopicPartition, _ generation: Int64) -> TopicPartition {
        state.withLock { $0.incarnations.name(of: partition, generation) }
    }

    /// What the history calls the partition of a topic.
    func name(of partition: TopicPartition, in topic: String) -> TopicPartition {
        state.withLock { $0.incarnations.name(of: partition, in: topic) }
    }

    /// A pipeline was told that it has a partition.
    func told(_ assignment: Assignment) {
        guard let topic = assignment.topicID else { return }
        state.withLock { $0.incarnations.assigned(assignment.partition, assignment.generation, of: topic) }
    }

    /// A generation has taken a partition over.
    func assigned(_ partition: TopicPartition, _ generation: Int64, from offset: Int64, at place: Int) {
        let name = state.withLock { state in
            state.generations[partition] = max(generation, state.generations[partition] ?? 0)
            let name = state.incarnations.name(of: partition, generation)
            state.started.insert(name)
            return name
        }
        add(at: place) { .assigned(try $0.partition(name), generation: generation, from: offset) }
    }

    /// Whether a newer generation has taken the partition over.
    func isOutdated(_ partition: TopicPartition, _ generation: Int64) -> Bool {
        state.withLock { generation < $0.generations[partition] ?? 0 }
    }

    /// Whether it is beyond all that was committed of its partition.
    func movesOn(_ commit: OffsetCommit) -> Bool {
        let name = name(of: commit.partition, commit.generation)
        return state.withLock { $0.committed[name] ?? -1 < commit.offset }
    }

    func committed(_ commit: OffsetCommit, at place: Int) {
        let name = name(of: commit.partition, commit.generation)
        state.withLock { $0.committed[name] = commit.offset }
        add(at: place) { .committed(try $0.partition(name), offset: commit.offset, generation: commit.generation) }
    }

    /// The newest commit in the partition of a topic.
    func committed(_ name: TopicPartition) -> Int64? { state.withLock { $0.committed[name] } }

    /// A process is about to have a ledger forget what it has done from an operator's offset on: it may die before
    /// anybody hears whether it has.
    func mayForget(_ assignment: Assignment) {
        guard let reset = assignment.committed?.offset else { return }
        let name = name(of: assignment.partition, assignment.generation)
        state.withLock { $0.forgotten[name] = min(reset, $0.forgotten[name] ?? reset) }
    }

    /// A pipeline begins with a partition at `offset`, after an operator has set the group's.
    func adopted(_ assignment: Assignment, at offset: Int64, _ policy: ResumePolicy.Reset) {
        guard let reset = assignment.committed?.offset else { return }
        let name = name(of: assignment.partition, assignment.generation)
        let (isGone, isStarted, forgotten) = state.withLock { state in
            (state.gone.contains(name), state.started.contains(name), state.forgotten.removeValue(forKey: name))
        }
        // What is decided about a topic that is gone brings nothing of it back.
        if isGone { return }
        // It may happen again, and need not.
        if let forgotten { add { .seek(try $0.partition(name), to: forgotten) } }
        excuseEarlier(assignment, from: policy == .reprocess ? min(forgotten ?? reset, reset) : forgotten)
        if policy == .reprocess {
            add { .reprocess(try $0.partition(name), from: reset) }
        } else if !isStarted {
            // The ledger knows nothing: whatever the operator says.
            add { .seek(try $0.partition(name), to: offset) }
        } else if policy == .stop, offset != reset {
            add(problem: "\(name) goes on at \(offset), an operator had set \(reset), and nobody was asked")
        }
    }

    /// A ledger knows a topic by its name: what was done in one before it, it forgets as well.
    private func excuseEarlier(_ assignment: Assignment, from offset: Int64?) {
        guard let offset else { return }
        let names = state.withLock {
            $0.incarnations.earlierNames(of: assignment.partition, assignment.generation)
        }
        for name in names { add { .seek(try $0.partition(name), to: offset) } }
    }

    /// A topic was deleted with all that was not done.
    func deleted(_ topic: String, _ partitions: [TopicPartition]) {
        for partition in partitions {
            let name = name(of: partition, in: topic)
            state.withLock { _ = $0.gone.insert(name) }
            add { .seek(try $0.partition(name), to: .max) }
        }
    }
}
