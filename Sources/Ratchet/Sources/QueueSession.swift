/// A session of a source of model ``SourceModel/queue``.
///
/// Each queue subscribed to is assigned as one channel, whose log begins with the tag that the first delivery will have.
/// A channel that is lost is followed by another one, with a new number.
public protocol QueueSession: SourceSession {
    /// Acks deliveries; returns once the broker has that for sure. Throws ``SourceError`` with
    /// ``SourceError/Code/fenced`` when a channel is gone, and then acks nothing. Acking twice changes nothing.
    func ack(_ acks: [QueueAck]) async throws
}

/// Deliveries of one channel that are done.
public struct QueueAck: Sendable, Hashable {
    /// The channel.
    public var partition: TopicPartition
    /// The generation of its assignment.
    public var generation: Int64
    /// All up to this tag; nil for none.
    public var through: Int64?
    /// And these, in rising order.
    public var tags: [Int64]

    /// Acks of one channel.
    public init(partition: TopicPartition, generation: Int64, through: Int64?, tags: [Int64]) {
        self.partition = partition
        self.generation = generation
        self.through = through
        self.tags = tags
    }
}
