public import Ratchet

/// What a group of competing consumers does with the messages of its queue.
public struct QueueSettings: Sendable, Hashable {
    /// After so many deliveries a message that comes back goes to ``deadLetterTopic`` instead of being delivered again,
    /// 1 or more; nil for no limit. A crash may forget a delivery that was not answered when nothing of the queue was
    /// written after it. It needs a dead-letter topic: without one messages would be lost. Default: nil.
    public var deliveryLimit: Int?
    /// Where messages go that are rejected or were delivered too often; it must exist. Nil: a message that is rejected
    /// without requeue is gone. Default: nil.
    public var deadLetterTopic: String?
    /// How many offsets a partition may be delivered beyond its first message that is not settled, 1 to 32,768: what is
    /// remembered one by one. Beyond it the partition waits for that message. Default: 8,192.
    public var spread = 8_192
    /// The most consumers at a time, 1 or more. Default: 1,024.
    public var maximumConsumers = 1_024

    static let largestSpread = 32_768

    /// The defaults, with a limit of deliveries if one is given.
    public init(deliveryLimit: Int? = nil, deadLetterTopic: String? = nil) {
        self.deliveryLimit = deliveryLimit
        self.deadLetterTopic = deadLetterTopic
    }

    /// The queue's part of an audit.
    public var audited: AuditedChain.Queue {
        AuditedChain.Queue(deliveryLimit: .known(deliveryLimit), deadLetterTopic: .known(deadLetterTopic))
    }

    func check(_ place: String) throws(BrokerError) {
        guard deliveryLimit.map({ 1...Int(SharedRow.maximumCount) ~= $0 }) ?? true else {
            throw BrokerError(
                .invalidArgument,
                "a deliveryLimit of \(deliveryLimit ?? 0) for \(place): 1 to \(SharedRow.maximumCount)"
            )
        }
        guard deliveryLimit == nil || deadLetterTopic != nil else {
            throw BrokerError(
                .invalidArgument,
                "a deliveryLimit for \(place) without a deadLetterTopic: messages beyond it would be lost"
            )
        }
        guard 1...Self.largestSpread ~= spread, maximumConsumers >= 1 else {
            throw BrokerError(
                .invalidArgument,
                "\(place): a spread of \(spread), 1 to \(Self.largestSpread); "
                    + "maximumConsumers of \(maximumConsumers), 1 or more"
            )
        }
    }
}
