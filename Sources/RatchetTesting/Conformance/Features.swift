/// What a broker can do that not every broker can: decides which checks of a ``ConformanceSuite`` apply.
///
/// What is not named here every broker must do.
public struct Features: OptionSet, Sendable, Hashable, CustomStringConvertible {
    /// One bit for each feature.
    public let rawValue: UInt32

    /// Features by their bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// A log, not a queue: messages stay when they are done, offsets stand for them for ever, each group reads them all,
    /// a member may begin at any of them and read any of them again, and the assignment tells what the log holds.
    public static let log = Features(rawValue: 1 << 0)
    /// A topic can have several partitions; each is one member's at a time, and a message may name its own.
    public static let partitions = Features(rawValue: 1 << 1)
    /// Without a partition of its own a message goes to one by its key, always the same.
    public static let keysToPartitions = Features(rawValue: 1 << 2)
    /// A commit's metadata is kept.
    public static let commitMetadata = Features(rawValue: 1 << 3)
    /// Generations rise with each assignment, and what is of an older one is refused.
    public static let fencing = Features(rawValue: 1 << 4)
    /// A partition that is to move is revoked alone, and moves when it is released; the member keeps all others.
    public static let cooperativeRevocation = Features(rawValue: 1 << 5)
    /// A topic that is made anew has another id.
    public static let topicIDs = Features(rawValue: 1 << 6)
    /// The broker can forget old messages: ``BrokerUnderTest/removeOldest(of:)``.
    public static let retention = Features(rawValue: 1 << 7)
    /// Offsets may be left out: ``BrokerUnderTest/makeHole(in:)``.
    public static let holes = Features(rawValue: 1 << 8)
    /// A payload of ``ConformanceSuite/Settings/tooLargePayload`` is refused.
    public static let sizeLimit = Features(rawValue: 1 << 9)
    /// The broker can be started again, ``BrokerUnderTest/restart()``, and keeps what it has confirmed. The suite's
    /// checks must then run one after another.
    public static let restarts = Features(rawValue: 1 << 10)
    /// A queue, not a log: ``/Ratchet/Source/model`` says so, members of a group compete for its messages, each is
    /// assigned a channel of its own, and sessions are ``/Ratchet/QueueSession``s.
    public static let queue = Features(rawValue: 1 << 11)
    /// A member that is silent for too long is taken for dead: ``BrokerUnderTest/evictSilent()``. The suite's checks must
    /// then run one after another.
    public static let eviction = Features(rawValue: 1 << 12)
    /// An ack that has returned holds across a restart. A queue without it, such as AMQP's, may deliver again what was
    /// acked a moment before.
    public static let acksForGood = Features(rawValue: 1 << 13)

    private static let names = [
        "log", "partitions", "keysToPartitions", "commitMetadata", "fencing", "cooperativeRevocation", "topicIDs",
        "retention", "holes", "sizeLimit", "restarts", "queue", "eviction",
        "acksForGood",
    ]

    /// The features' names, with a `+` between them.
    public var description: String {
        Self.names.enumerated().filter { rawValue & 1 << $0.offset != 0 }.map(\.element).joined(separator: "+")
    }
}
