/// One partition of one topic: the unit of order, of assignment and of position.
public struct TopicPartition: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The topic's name, or the queue's for a queue source.
    public let topic: String
    /// The partition's number, from 0.
    public let partition: Int

    /// Names partition `partition` (0 or more) of `topic`.
    public init(_ topic: String, _ partition: Int) {
        self.topic = topic
        self.partition = partition
    }

    /// `topic/partition`, as logs and errors print it.
    public var description: String { "\(topic)/\(partition)" }

    /// Sorts by topic, then by partition.
    public static func < (a: TopicPartition, b: TopicPartition) -> Bool {
        (a.topic, a.partition) < (b.topic, b.partition)
    }
}
