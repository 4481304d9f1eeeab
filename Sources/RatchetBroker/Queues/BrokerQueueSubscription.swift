public import Ratchet

/// A group's subscription to topics of a ``Broker`` as queues, for a pipeline: opens sessions, each of them a competing
/// consumer of every topic.
public struct BrokerQueueSubscription: Source {
    /// The topics that are queues, in order.
    public let topics: [String]
    /// The group whose consumers compete.
    public let group: String
    /// What becomes of messages.
    public let settings: QueueSettings
    /// How many messages a session may have of each queue without having acked them.
    public let prefetch: Int
    /// The broker's id.
    public let cluster: String
    /// `ratchet`.
    public var system: String { "ratchet" }
    /// A queue.
    public var model: SourceModel { .queue }
    /// Its prefetch.
    public var inFlightLimit: Int? { prefetch }
    private let broker: Broker

    init(topics: [String], group: String, settings: QueueSettings, prefetch: Int, broker: Broker) {
        self.topics = topics
        self.group = group
        self.settings = settings
        self.prefetch = prefetch
        self.broker = broker
        cluster = broker.id
    }

    /// Opens a channel of each queue. Throws ``/Ratchet/SourceError`` when a topic does not exist or is named twice, and
    /// what ``BrokerQueue/consumer(prefetch:autoAck:)`` throws.
    public func open() async throws -> any SourceSession {
        guard !topics.isEmpty, Set(topics).count == topics.count else {
            throw SourceError(.invalidArgument, "group '\(group)' consumes no queue, or one twice: \(topics)")
        }
        let session = BrokerQueueSession(subscription: self)
        for topic in topics { try await session.openChannel(of: topic) }
        return session
    }

    func consumer(of topic: String, told signal: Signal) async throws -> SharedConsumer {
        try await broker.consumer(
            of: topic,
            as: group,
            settings,
            prefetch: prefetch,
            autoAck: false,
            told: signal
        )
    }
}

extension Broker {
    /// A subscription of a pipeline to topics as queues, whose messages its consumers share with those of others.
    /// Nothing happens before it is opened. See ``queue(_:as:settings:)``.
    ///
    /// A message is acked once the ledger has it, and never nacked: a handler that throws is tried again in place, and
    /// when its attempts are used up the message is a ``/Ratchet/DeadLetter`` of the ledger, as with a log, and is acked.
    /// ``QueueSettings/deadLetterTopic`` gets what no ledger could say anything about: a message that was delivered
    /// ``QueueSettings/deliveryLimit`` times to consumers that died with it. A pipeline that is shut down gives back at once
    /// the messages of keys of which no handler has begun one, waits for those that run, and gives back what was behind
    /// them: none of that counts as a delivery. What has failed or is not finished comes back, counted, when the pipeline
    /// has ended; as does all that one had which is cancelled or dies.
    ///
    /// A pipeline over a queue needs idempotency keys. `prefetch`, 1 to 32,768, is how many messages of each queue the
    /// pipeline may have in flight; each time it acks it gets more.
    public func subscribe(
        toQueues topics: String...,
        as group: String,
        prefetch: Int = 1000,
        settings: QueueSettings = QueueSettings()
    ) -> BrokerQueueSubscription {
        subscribe(toQueues: topics, as: group, prefetch: prefetch, settings: settings)
    }

    /// A subscription to several queues; see ``subscribe(toQueues:as:prefetch:settings:)-(String...,_,_,_)``.
    public func subscribe(
        toQueues topics: [String],
        as group: String,
        prefetch: Int = 1000,
        settings: QueueSettings = QueueSettings()
    ) -> BrokerQueueSubscription {
        BrokerQueueSubscription(topics: topics, group: group, settings: settings, prefetch: prefetch, broker: self)
    }
}
