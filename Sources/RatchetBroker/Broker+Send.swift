public import Ratchet

/// Where a sent message is.
public struct RecordMetadata: Sendable, Hashable {
    /// The partition that it went to.
    public var partition: TopicPartition
    /// Its offset there; -1 where that is not known: with ``Acks/none``, and of a message that is in the log since an earlier
    /// attempt whose answer was lost, if five or more batches of the producer have come to the partition behind it.
    public var offset: Int64
}

extension Broker: Sink {
    /// Sends one message and returns once it is durable, or before, if ``TopicSettings/confirmsAfterWrite`` of its topic is
    /// false. Messages that are sent at the same time share one sync.
    ///
    /// The partition: the message's own, else Kafka's default choice by key, else the next in turn. Throws
    /// ``/Ratchet/MessageError``: `tooLarge`, `emptyKey`, `invalidHeader`, `unknownTopic`, `unknownPartition`,
    /// `missingKey`;
    /// ``BrokerError``: `full`, `storage`, `closed`; with several nodes `notEnoughReplicas`, `leaderNotAvailable` and
    /// `timedOut`. Nothing was written then, but for `storage` and `timedOut`, where it is not known. With ``Acks/none``
    /// it returns once the message is taken in memory, with -1 for its offset. `CancellationError` when cancelled while waiting for ``Configuration/maximumPendingBytes``.
    @discardableResult
    public func send(_ message: OutgoingMessage, acks: Acks = .all) async throws -> RecordMetadata {
        let (batch, offsets) = try await append(OutgoingBatch(CollectionOfOne(message)), acks)
        return RecordMetadata(partition: batch.segments[0].log.partition, offset: offsets[0])
    }

    /// Sends messages in order, all or none, whatever their partitions; see ``send(_:)-(OutgoingBatch)``.
    @discardableResult
    public func send(_ messages: [OutgoingMessage], acks: Acks = .all) async throws -> [RecordMetadata] {
        try await send(OutgoingBatch(messages), acks: acks)
    }

    /// Sends a batch in order, all or none, whatever the partitions, and returns once it is durable: where each message
    /// is. With several nodes all or none holds for the messages whose partitions one node leads.
    ///
    /// Messages without a key and a partition go to one partition together, those of the next batch to the next. Throws
    /// what the sending of one message throws, for the first message that is at fault.
    @discardableResult
    public func send(_ batch: OutgoingBatch, acks: Acks = .all) async throws -> [RecordMetadata] {
        let (routed, offsets) = try await append(batch, acks)
        return routed.places.compactMap { place in
            guard let segment = place.map({ Int($0.segment) }), let index = place?.index else { return nil }
            return RecordMetadata(
                partition: routed.segments[segment].log.partition,
                offset: offsets[segment] < 0 ? -1 : offsets[segment] + Int64(index)
            )
        }
    }

    /// Sends a batch as a ``/Ratchet/Sink``: a message at fault fails, with those of its topic and key behind it; all
    /// others are sent in order, and are durable.
    @_disfavoredOverload
    public func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
        let (routed, _) = try await append(batch, .all, skippingFaults: true)
        return routed.faults.map { SinkFailure(index: $0.index, error: $0.error) }
    }

    /// Why every later call throws: a failed write, or ``close()``. Nil as long as the broker is usable.
    public var failure: (any Error)? { storage.failure }

    private func append(
        _ batch: OutgoingBatch,
        _ acks: Acks,
        skippingFaults: Bool = false
    ) async throws -> (RoutedBatch, [Int64]) {
        try await appender.append(byteCount: batch.byteCount, acks: acks) {
            let routed = RoutedBatch(batch, catalog: catalog, now: configuration.time.wall())
            if !skippingFaults, let fault = routed.faults.first { throw fault.error }
            return routed
        }
    }
}
