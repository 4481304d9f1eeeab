/// A session of a source of model ``SourceModel/queue``.
///
/// Each queue subscribed to is assigned as one channel, whose log begins with the tag that the first delivery will have.
/// A channel that is lost is followed by another one, with a new number.
public protocol QueueSession: SourceSession {
    /// Acks deliveries; returns once the broker has that for sure, or has been told where it confirms no acks, as in AMQP:
    /// after its crash what was acked may come again there, and a pipeline knows it by its key. Throws ``SourceError``
    /// with ``SourceError/Code/fenced`` when a channel is gone, and then acks nothing. Acking twice changes nothing.
    func ack(_ acks: [QueueAck]) async throws

    /// Gives back deliveries of a channel that no handler has begun, by tags in rising order: others get them at once,
    /// and where the broker can it does not count them as delivered. A pipeline that is shut down calls it before it
    /// waits for what it has begun, for messages of whose keys it has begun none, and for the others afterwards. Throws
    /// ``SourceError`` with ``SourceError/Code/fenced`` when the channel is gone.
    /// Default: nothing; they come back when the channel is closed.
    func giveBack(_ tags: [Int64], of partition: TopicPartition, generation: Int64) async throws
}

extension QueueSession {
    /// Nothing: they come back when the channel is closed.
    public func giveBack(_ tags: [Int64], of partition: TopicPartition, generation: Int64) async throws {}
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
