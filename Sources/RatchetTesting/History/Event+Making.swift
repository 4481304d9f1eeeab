// Generations are those of `Assignment.generation`; one above 4,294,967,295 counts as that.
extension History.Event {
    /// `producer` begins to send `message`: to be recorded before the call.
    public static func sending(_ message: MessageID, by producer: ProducerID) -> Self {
        Self(.sending, message, lane: producer.number)
    }

    /// The send of `message` returned normally; with the record's `offset` where it is known.
    public static func sentOK(_ message: MessageID, _ partition: PartitionID, offset: Int64 = -1) -> Self {
        Self(.sentOK, message, partition, offset: offset)
    }

    /// The send of `message` failed for sure.
    public static func sentFailed(_ message: MessageID) -> Self { Self(.sentFailed, message) }

    /// Nobody knows whether the send of `message` came through.
    public static func sentUnknown(_ message: MessageID) -> Self { Self(.sentUnknown, message) }

    /// The log holds `message` at `offset`.
    public static func appended(_ message: MessageID, _ partition: PartitionID, offset: Int64) -> Self {
        Self(.appended, message, partition, offset: offset)
    }

    /// The transaction of the record at `offset` was aborted.
    public static func aborted(_ message: MessageID, _ partition: PartitionID, offset: Int64) -> Self {
        Self(.aborted, message, partition, offset: offset)
    }

    /// Retention or compaction removed the record at `offset`.
    public static func removed(_ message: MessageID, _ partition: PartitionID, offset: Int64) -> Self {
        Self(.removed, message, partition, offset: offset)
    }

    /// The log was read to its end, `offset`.
    public static func end(of partition: PartitionID, offset: Int64) -> Self {
        Self(.end, .none, partition, offset: offset)
    }

    /// The queue still holds `count` messages, delivered ones that are not acked included.
    public static func end(of queue: PartitionID, messagesLeft count: Int) -> Self {
        Self(.end, .none, queue, offset: Int64(count))
    }

    /// `generation` owns the partition and reads it from `offset` on, -1 if that is not known.
    public static func assigned(_ partition: PartitionID, generation: Int64, from offset: Int64 = -1) -> Self {
        Self(.assigned, .none, partition, offset: offset, generation: generation)
    }

    /// `generation` gave the partition back.
    public static func revoked(_ partition: PartitionID, generation: Int64) -> Self {
        Self(.revoked, .none, partition, generation: generation)
    }

    /// An operator set the position to `offset`: what is before it and not done is passed over, what is behind it may
    /// be processed again, once more where it was done.
    public static func seek(_ partition: PartitionID, to offset: Int64) -> Self {
        Self(.seek, .none, partition, offset: offset)
    }

    /// An operator had the consumer forget all from `offset` on, and what it remembers of its messages: each of them is
    /// to have its effect once more. What is before `offset` and not done is passed over.
    public static func reprocess(_ partition: PartitionID, from offset: Int64) -> Self {
        Self(.reprocess, .none, partition, offset: offset)
    }

    /// A consumer was given `message`.
    public static func delivered(_ message: MessageID, _ partition: PartitionID, offset: Int64, generation: Int64)
        -> Self
    {
        Self(.delivered, message, partition, offset: offset, generation: generation)
    }

    /// A handler begins with `message`, which keeps the order of `key`.
    public static func started(
        _ message: MessageID,
        _ partition: PartitionID,
        offset: Int64,
        generation: Int64,
        key: OrderedKeyID
    ) -> Self {
        Self(.started, message, partition, offset: offset, generation: generation, lane: key.number)
    }

    /// A handler ends, and its message is done.
    public static func finished(
        _ message: MessageID,
        _ partition: PartitionID,
        offset: Int64,
        generation: Int64,
        key: OrderedKeyID
    ) -> Self {
        Self(.finished, message, partition, offset: offset, generation: generation, lane: key.number)
    }

    /// A handler ends, and its message is not done.
    public static func failed(
        _ message: MessageID,
        _ partition: PartitionID,
        offset: Int64,
        generation: Int64,
        key: OrderedKeyID
    ) -> Self {
        Self(.failed, message, partition, offset: offset, generation: generation, lane: key.number)
    }

    /// The effect of `message` is durable.
    public static func effect(_ message: MessageID, _ partition: PartitionID, offset: Int64, generation: Int64) -> Self
    {
        Self(.effect, message, partition, offset: offset, generation: generation)
    }

    /// `message` was called done without running its handler: its effect is there already.
    public static func skipped(_ message: MessageID, _ partition: PartitionID, offset: Int64, generation: Int64) -> Self
    {
        Self(.skipped, message, partition, offset: offset, generation: generation)
    }

    /// `message` was given up.
    public static func deadLettered(
        _ message: MessageID,
        _ partition: PartitionID,
        offset: Int64,
        generation: Int64
    ) -> Self {
        Self(.deadLettered, message, partition, offset: offset, generation: generation)
    }

    /// The dead letter of `message` was taken out to be processed again.
    public static func replayed(_ message: MessageID) -> Self { Self(.replayed, message) }

    /// The broker accepted `offset`, the one of the next message to be delivered, from `generation`.
    public static func committed(_ partition: PartitionID, offset: Int64, generation: Int64) -> Self {
        Self(.committed, .none, partition, offset: offset, generation: generation)
    }

    /// The broker accepted the ack of `message`.
    public static func acked(_ message: MessageID, _ queue: PartitionID, tag: Int64) -> Self {
        Self(.acked, message, queue, offset: tag)
    }

    /// Faults are healed, and all had its time.
    public static var drained: Self { Self(.drained) }
}
