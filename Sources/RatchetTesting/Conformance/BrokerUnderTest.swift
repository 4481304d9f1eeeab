public import Ratchet

/// A broker and its connector, as a ``ConformanceSuite`` needs them: what is under test are the ``/Ratchet/Source`` and
/// the ``/Ratchet/Sink``; all else looks at the broker from outside of them.
///
/// Every check makes topics and groups with names of its own, of letters, digits and `-`, and removes its topics: the
/// broker may be a server that others use as well. Checks may run side by side. What is called here should end when its
/// task is cancelled: a check that has run out of time waits for it.
public protocol BrokerUnderTest: Sendable {
    /// Makes a topic, or a queue, with so many partitions: more than one only with ``Features/partitions``. Returns once
    /// it can be sent to and subscribed to. Messages of up to ``ConformanceSuite/Settings/largestPayload`` must fit.
    func createTopic(_ name: String, partitions: Int) async throws

    /// Removes a topic; returns once one of the same name can be made.
    func deleteTopic(_ name: String) async throws

    /// A consumer group's subscription: the connector's source. A group is made by its first subscription.
    func source(of topics: [String], group: String) async throws -> any Source

    /// The connector's sink, with settings by which nothing is lost.
    func sink() async throws -> any Sink

    /// Sends messages in order, not by the sink under test; returns once they can be read.
    func produce(_ messages: [OutgoingMessage]) async throws

    /// All that a partition holds, in the log's order, read outside of every group and without taking anything away.
    func contents(of partition: TopicPartition) async throws -> [Message]

    /// With ``Features/retention``: has the broker forget the oldest messages of the partition, the first one at least.
    /// May send others for that.
    func removeOldest(of partition: TopicPartition) async throws

    /// With ``Features/holes``: uses up an offset of the partition for something that is never delivered, such as the
    /// record of a transaction that is aborted.
    func makeHole(in partition: TopicPartition) async throws

    /// With ``Features/restarts``: stops the broker and starts it again, by a crash if it can. Returns once it is there.
    func restart() async throws

    /// With ``Features/eviction``: lets so much time pass that the broker takes every member for dead that does not wait
    /// in `next`, as one whose process stands still, and gives what it had to others. The member hears nothing of it.
    func evictSilent() async throws
}

extension BrokerUnderTest {
    /// Throws: for brokers without ``Features/retention``.
    public func removeOldest(of partition: TopicPartition) async throws {
        throw Self.missing("removeOldest", .retention)
    }

    /// Throws: for brokers without ``Features/holes``.
    public func makeHole(in partition: TopicPartition) async throws { throw Self.missing("makeHole", .holes) }

    /// Throws: for brokers without ``Features/restarts``.
    public func restart() async throws { throw Self.missing("restart", .restarts) }

    /// Throws: for brokers without ``Features/eviction``.
    public func evictSilent() async throws { throw Self.missing("evictSilent", .eviction) }

    private static func missing(_ method: String, _ feature: Features) -> ConformanceFailure {
        ConformanceFailure("\(Self.self) has no \(method), which \(feature) asks for")
    }
}
