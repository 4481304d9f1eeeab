public import Ratchet

/// A topic that competing consumers share; see ``Broker/queue(_:as:settings:)``.
public struct BrokerQueue: Sendable {
    /// The topic.
    public let topic: String
    /// The group whose consumers compete.
    public let group: String
    /// What becomes of its messages.
    public let settings: QueueSettings
    let broker: Broker

    /// A new consumer.
    ///
    /// - Parameters:
    ///   - prefetch: How many messages it may have without having answered them, 1 to 32,768. Default: 256.
    ///   - autoAck: A message counts as acked when it is delivered: what the consumer has and has not processed is lost
    ///     when it dies. Default: false.
    ///
    /// Throws ``/Ratchet/SourceError`` with `unknownTopic`; ``BrokerError``: `invalidArgument`, also when the group has
    /// consumers with other settings; `limitReached`.
    public func consumer(prefetch: Int = 256, autoAck: Bool = false) async throws -> QueueConsumer {
        let signal = Signal()
        let consumer = try await broker.consumer(
            of: topic,
            as: group,
            settings,
            prefetch: prefetch,
            autoAck: autoAck,
            told: signal
        )
        return QueueConsumer(consumer, signal)
    }
}

/// A message that a ``QueueConsumer`` was given.
public struct QueueDelivery: Sendable {
    /// The message, with its place in the log.
    public var message: Message
    /// What it is answered by: counts up from 1 within the consumer, and dies with it.
    public var tag: Int64
    /// Whether it may have been delivered before. False says that it was not, whatever has crashed meanwhile.
    public var isRedelivered: Bool
    /// How often it was delivered, this time included. A crash may forget the deliveries that nobody had answered.
    public var deliveryCount: Int

    init(_ message: Message, _ delivery: SharedGroup.Delivery) {
        self.message = message
        tag = delivery.tag
        isRedelivered = delivery.isRedelivered
        deliveryCount = delivery.count
    }
}

/// One of the competing consumers of a queue. It has the messages that it was given until it answers them; when it is
/// closed, with its last reference, or when it is silent for ``Broker/Configuration/sessionTimeout``, they are
/// delivered to others.
public final class QueueConsumer: Sendable {
    private let consumer: SharedConsumer
    private let signal: Signal

    init(_ consumer: SharedConsumer, _ signal: Signal) {
        self.consumer = consumer
        self.signal = signal
    }

    deinit { consumer.leave() }

    /// Rises with each consumer of the group, across restarts too: the fencing token.
    public var id: Int64 { consumer.id }

    /// The next messages, up to `maximum`; waits until there is one, and room for it in the prefetch. The oldest of a
    /// partition come first, those that came back before newer ones.
    ///
    /// A consumer that waits here is not silent. Throws ``/Ratchet/SourceError``: `fenced` once it was silent for too
    /// long or is closed, `unknownTopic` when the topic was deleted, `corrupted` when a message cannot be read, which
    /// then stays in the queue; ``BrokerError`` when the broker has failed or is closed; `CancellationError`: what had
    /// been given comes with the next call.
    public func next(maximum: Int = 1000) async throws -> [QueueDelivery] {
        guard maximum > 0 else { throw SourceError(.invalidArgument, "next() for \(maximum) messages: one or more") }
        try consumer.enterNext()
        defer { consumer.leaveNext() }
        while true {
            try Task.checkCancellation()
            let deliveries = try consumer.poll(most: maximum)
            if !deliveries.isEmpty { return deliveries }
            await signal.wait()
            if Task.isCancelled { consumer.unask() }
        }
    }

    /// Acks a delivery, or with `multiple` all deliveries up to it, and returns once that is durable: they are never
    /// delivered again.
    ///
    /// Throws ``/Ratchet/SourceError``: `fenced` when the consumer is none any more, `invalidArgument` for a tag that
    /// was never delivered, or that was answered before.
    public func ack(_ tag: Int64, multiple: Bool = false) async throws {
        try await consumer.settle(through: multiple ? tag : nil, tags: multiple ? [] : [tag], .ack)
    }

    /// Acks deliveries, all or none; see ``ack(_:multiple:)``.
    public func ack(_ tags: [Int64]) async throws { try await consumer.settle(through: nil, tags: tags, .ack) }

    /// Gives a delivery back, or with `multiple` all up to it. With `requeue` it is delivered again, and the call
    /// returns at once; without, or after ``QueueSettings/deliveryLimit`` deliveries, it is moved to the dead-letter
    /// topic, and is there for good when the call returns. Without requeue and dead-letter topic it is gone. With several
    /// nodes it can be read there once the nodes have it, as with a transaction's messages; see
    /// ``Producer/transaction(_:)``.
    ///
    /// Throws what ``ack(_:multiple:)`` throws; and what keeps the message out of the dead-letter topic, and then it is
    /// delivered again.
    public func nack(_ tag: Int64, multiple: Bool = false, requeue: Bool) async throws {
        try await consumer.settle(
            through: multiple ? tag : nil,
            tags: multiple ? [] : [tag],
            requeue ? .requeue : .reject
        )
    }

    /// Gives back what was not answered. Idempotent; wakes ``next(maximum:)``.
    public func close() {
        consumer.leave()
        consumer.wake()
    }
}
