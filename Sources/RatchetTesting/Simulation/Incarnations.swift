import Ratchet

/// Which topic a generation of a partition is of: one that was made anew has the name of the one before, and its offsets
/// stand for other messages.
struct Incarnations: Sendable {
    private struct Assigned: Sendable {
        let generation: Int64
        let number: Int
    }

    /// The topics' ids, in the order in which they were seen.
    private var ids: [String] = []
    /// By rising generation.
    private var assigned: [TopicPartition: [Assigned]] = [:]

    mutating func assigned(_ partition: TopicPartition, _ generation: Int64, of id: String) {
        let number = number(of: id)
        var list = assigned[partition] ?? []
        let index = list.firstIndex(past: { $0.generation >= generation })
        if index < list.count, list[index].generation == generation { return }
        list.insert(Assigned(generation: generation, number: number), at: index)
        assigned[partition] = list
    }

    /// What a history calls the partition of a generation.
    func name(of partition: TopicPartition, _ generation: Int64) -> TopicPartition {
        Self.name(of: partition, number(of: partition, generation))
    }

    /// What it calls the partition of the topics before that one.
    func earlierNames(of partition: TopicPartition, _ generation: Int64) -> [TopicPartition] {
        (0..<number(of: partition, generation)).map { Self.name(of: partition, $0) }
    }

    private func number(of partition: TopicPartition, _ generation: Int64) -> Int {
        let list = assigned[partition] ?? []
        let index = list.firstIndex(past: { $0.generation > generation })
        return index > 0 ? list[index - 1].number : 0
    }

    /// What a history calls the partition of a topic.
    mutating func name(of partition: TopicPartition, in id: String) -> TopicPartition {
        Self.name(of: partition, number(of: id))
    }

    private mutating func number(of id: String) -> Int {
        if let number = ids.firstIndex(of: id) { return number }
        ids.append(id)
        return ids.count - 1
    }

    private static func name(of partition: TopicPartition, _ number: Int) -> TopicPartition {
        number == 0 ? partition : TopicPartition("\(partition.topic), made anew \(number)", partition.partition)
    }
}
