/// Where a pipeline's messages come from: a subscription of one consumer group to one topic or several.
///
/// A driver is this protocol and ``SourceSession``; nothing else of a broker is known to the pipeline.
public protocol Source: Sendable {
    /// Names the broker: positions are kept per cluster, so that two brokers' offsets are never confused.
    var cluster: String { get }
    /// The consumer group.
    var group: String { get }
    /// The broker's kind, as OpenTelemetry's `messaging.system` names it: `kafka`, `rabbitmq`, `ratchet`.
    var system: String { get }
    /// What its offsets are. Default: a log's.
    var model: SourceModel { get }
    /// How many messages of a partition its sessions give before some of them are acked, 1 or more; nil where they do not
    /// wait for that. Default: nil.
    var inFlightLimit: Int? { get }
    /// Joins the group. Throws when the topic does not exist or the broker cannot be reached.
    func open() async throws -> any SourceSession
}

extension Source {
    /// A log.
    public var model: SourceModel { .log }
    /// Nothing waits for what was given to be acked.
    public var inFlightLimit: Int? { nil }
}

/// What the partitions and offsets of a source are.
public enum SourceModel: Hashable, Sendable {
    /// Partitions of a log: an offset stands for its message for ever, and the group's position is an offset.
    case log
    /// Channels of a queue: the topic is the queue, the partition one consuming channel, the offset the delivery tag,
    /// which counts up within the channel and dies with it. Nothing that is keyed by them is persisted: a message that
    /// comes again is known by its idempotency key alone. Sessions are ``QueueSession``s.
    case queue
}

/// One membership in a consumer group. One task calls ``next()``; the others may be called from anywhere.
public protocol SourceSession: AnyObject, Sendable {
    /// The next event; waits until there is one. Returns ``SourceEvent/closed`` for ever once the session has ended.
    /// While a call waits, the member counts as alive. Throws when the broker is lost, `CancellationError` when
    /// cancelled.
    func next() async throws -> SourceEvent

    /// Begins the delivery of an assigned partition at `offset`. Nothing of a partition is delivered before this call:
    /// the pipeline alone decides where to start. An offset before the log's first one, which retention may have passed
    /// just now, ends in ``SourceEvent/outOfRange(_:)``. Throws when the assignment is of an older generation.
    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws

    /// Stops or resumes the delivery of one partition. A paused partition keeps its place and its assignment.
    func setPaused(_ paused: Bool, _ partition: TopicPartition)

    /// Commits positions for the group; returns once the broker has them for sure. Throws ``SourceError`` with
    /// ``SourceError/Code/fenced`` when one is of an older generation, and then commits none. Committing twice changes
    /// nothing.
    func commit(_ commits: [OffsetCommit]) async throws

    /// Gives revoked partitions back, once everything in flight is settled and committed: the rebalance waits for this.
    func release(_ partitions: [TopicPartition]) async

    /// The one record at `offset`, nil if the log does not hold it (any more).
    func message(at offset: Int64, of partition: TopicPartition) async throws -> Message?

    /// Leaves the group. Idempotent; wakes ``next()``.
    func close() async
}

/// What a source tells a pipeline.
public enum SourceEvent: Sendable {
    /// Partitions are now ours. Nothing is delivered until ``SourceSession/start(_:at:generation:)``.
    case assigned([Assignment])
    /// Messages of one partition, in order.
    case messages(MessageBatch)
    /// A partition's log does not hold what comes next, as retention was faster. Nothing more of the partition is
    /// delivered until it is started elsewhere: the source never resets by itself. Told once for each start.
    case outOfRange(OffsetGap)
    /// These partitions will go to another member, which waits until ``SourceSession/release(_:)`` or the deadline.
    case revoking([TopicPartition], within: Duration)
    /// These partitions are another member's already: nothing more can be committed for them.
    case lost([TopicPartition])
    /// The session has ended.
    case closed
}

/// A partition that a member was given, and what the broker knows of it.
public struct Assignment: Sendable, Hashable {
    /// The partition.
    public var partition: TopicPartition
    /// The topic's identity where the broker has one: another id means a topic made anew under the old name.
    public var topicID: String?
    /// Rises with each assignment of the partition in this group, across restarts too: the fencing token.
    public var generation: Int64
    /// What the group last committed, nil if it never did.
    public var committed: CommittedOffset?
    /// The offsets that the log holds: from the first one kept to the one that the next message will get.
    public var log: Range<Int64>

    /// An assignment from its parts.
    public init(
        partition: TopicPartition,
        topicID: String?,
        generation: Int64,
        committed: CommittedOffset?,
        log: Range<Int64>
    ) {
        self.partition = partition
        self.topicID = topicID
        self.generation = generation
        self.committed = committed
        self.log = log
    }
}

/// What comes next in a partition is not in its log.
public struct OffsetGap: Sendable, Hashable {
    /// The partition.
    public var partition: TopicPartition
    /// The generation of the assignment.
    public var generation: Int64
    /// The offset after the last message that was delivered, or the one that the partition was started at.
    public var position: Int64
    /// The offsets that the log holds.
    public var log: Range<Int64>

    /// A gap from its parts.
    public init(partition: TopicPartition, generation: Int64, position: Int64, log: Range<Int64>) {
        self.partition = partition
        self.generation = generation
        self.position = position
        self.log = log
    }
}

/// A group's committed position in a partition.
public struct CommittedOffset: Sendable, Hashable {
    /// The offset of the next message to be delivered.
    public var offset: Int64
    /// What was stored beside it. Ratchet stores ``CommitMetadata``; empty after an operator's reset.
    public var metadata: String

    /// A committed offset.
    public init(offset: Int64, metadata: String) {
        self.offset = offset
        self.metadata = metadata
    }
}

/// A position to be committed.
public struct OffsetCommit: Sendable, Hashable {
    /// The partition.
    public var partition: TopicPartition
    /// The offset of the next message to be delivered.
    public var offset: Int64
    /// The generation of the assignment.
    public var generation: Int64
    /// To be stored beside it, at most 4,096 bytes.
    public var metadata: String

    /// A commit from its parts.
    public init(partition: TopicPartition, offset: Int64, generation: Int64, metadata: String) {
        self.partition = partition
        self.offset = offset
        self.generation = generation
        self.metadata = metadata
    }
}

/// What went wrong between a pipeline and its source.
public struct SourceError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of fault.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// The member or the generation is no longer the group's: another one has the partition.
        public static let fenced = Code(description: "fenced")
        /// The topic or partition does not exist.
        public static let unknownTopic = Code(description: "unknown topic")
        /// The partition is not assigned to this member.
        public static let notAssigned = Code(description: "not assigned")
        /// The session was closed.
        public static let closed = Code(description: "closed")
        /// The offset is outside of what the log holds.
        public static let offsetOutOfRange = Code(description: "offset out of range")
        /// The log holds bytes that are not what was written.
        public static let corrupted = Code(description: "corrupted")
        /// An argument is out of its bounds.
        public static let invalidArgument = Code(description: "invalid argument")
    }

    /// The kind of fault.
    public let code: Code
    /// What was wrong, where, and what to do.
    public let detail: String

    /// An error with its explanation.
    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// `code: detail`.
    public var description: String { "\(code): \(detail)" }
}
