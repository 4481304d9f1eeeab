/// Where a pipeline's outgoing messages go: a topic of the in-process broker, of Kafka, an exchange of RabbitMQ.
public protocol Sink: Sendable {
    /// Sends the messages in order and returns once each is confirmed or has failed: the failures, by index within the
    /// batch, in rising order; an empty array when all are confirmed. With a message that fails, those of its topic and
    /// key behind it in the batch fail too: their order would be lost. A message to a topic that does not exist fails
    /// with ``MessageError/Code/unknownTopic``, and no message to another topic does for that. Throws when nothing is
    /// known about any of them; the caller then sends all again, under the same ids.
    func send(_ batch: OutgoingBatch) async throws -> [SinkFailure]

    /// Why no later send of this sink can succeed; nil as long as one may. A pipeline whose messages fail ends with it
    /// at once instead of sending them again: they stay in the outbox for the next run. The default is nil, for a sink
    /// that comes back by itself.
    var failure: (any Error)? { get }
}

extension Sink {
    /// Nil: every failure may pass.
    public var failure: (any Error)? { nil }
}

/// One message of a batch that was not confirmed.
public struct SinkFailure: Sendable {
    /// The message's index within the batch.
    public var index: Int
    /// Why.
    public var error: any Error

    /// A failure of the message at `index`.
    public init(index: Int, error: any Error) {
        self.index = index
        self.error = error
    }
}
