public import Ratchet

/// A consumer group's subscription to topics of a ``Broker``: opens sessions, each of them a member of the group.
public struct BrokerSubscription: Source {
    /// The topics subscribed to, in order.
    public let topics: [String]
    /// The consumer group.
    public let group: String
    /// The broker's id.
    public let cluster: String
    /// `ratchet`.
    public var system: String { "ratchet" }
    private let broker: Broker

    init(topics: [String], group: String, broker: Broker) {
        self.topics = topics
        self.group = group
        self.broker = broker
        cluster = broker.id
    }

    /// Joins the group. Throws ``/Ratchet/SourceError`` when a topic does not exist or is named twice, ``BrokerError``
    /// when the group's name is invalid, there are too many groups, or the broker is closed.
    public func open() async throws -> any SourceSession {
        guard !topics.isEmpty, Set(topics).count == topics.count else {
            throw SourceError(.invalidArgument, "group '\(group)' subscribes to no topic, or to one twice: \(topics)")
        }
        for topic in topics where broker.catalog[topic] == nil {
            throw SourceError(.unknownTopic, "group '\(group)' subscribes to topic '\(topic)': create it first")
        }
        let shell = try broker.group(group)
        return BrokerSession(member: try shell.join(topics: topics), group: shell, broker: broker)
    }
}
