public import Ratchet

/// The messages of one partition, from an offset to the end that the log had when the reading began. See
/// ``Broker/read(_:from:maximumMessages:)``.
public struct BrokerLog: AsyncSequence, Sendable {
    /// Batches of consecutive messages.
    public typealias Element = MessageBatch

    fileprivate let reader: LogReader
    fileprivate let range: Range<Int64>
    fileprivate let limits: LogReader.Limits

    /// An iterator at the first offset.
    public func makeAsyncIterator() -> Iterator { Iterator(log: self, position: range.lowerBound) }

    /// Reads batch after batch.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let log: BrokerLog
        fileprivate var position: Int64
        fileprivate var place: LogReader.Place?

        /// The next batch, nil at the end. Throws ``/Ratchet/SourceError``: `offsetOutOfRange` when retention was
        /// faster, or an unclean election has cut off what comes next, `corrupted`; ``BrokerError`` with `leaderNotAvailable` while no node leads the partition: the same
        /// call again goes on where this one was.
        public mutating func next() async throws -> MessageBatch? {
            while position < log.range.upperBound {
                var limits = log.limits
                limits.messages = Int(Swift.min(Int64(limits.messages), log.range.upperBound - position))
                guard let found = try log.reader.read(from: position, generation: 0, limits: limits, place: &place)
                else {
                    try log.reader.log.checkIsLed()
                    // Another node has taken over just now; one from outside of the in-sync set may have less.
                    let held = log.reader.log.range
                    guard position < held.upperBound else { throw log.reader.outOfRange(position, held) }
                    continue
                }
                position = found.next
                if let batch = found.batch { return batch }
            }
            return nil
        }
    }
}

extension Broker {
    /// Reads a partition without a group: from `offset`, nil for the first one kept, to the log's end as it is now, in
    /// batches of up to `maximumMessages`. Throws ``/Ratchet/SourceError``: `unknownTopic`, `offsetOutOfRange`,
    /// `invalidArgument`; ``BrokerError`` with `leaderNotAvailable` while no node leads the partition.
    public func read(
        _ partition: TopicPartition,
        from offset: Int64? = nil,
        maximumMessages: Int = 1000
    ) throws -> BrokerLog {
        guard let log = catalog.log(of: partition) else {
            throw SourceError(.unknownTopic, "there is no \(partition)")
        }
        guard maximumMessages > 0 else {
            throw SourceError(.invalidArgument, "\(maximumMessages) messages at most from \(partition): one or more")
        }
        try log.checkIsLed()
        let range = log.range
        let reader = LogReader(log)
        let start = offset ?? range.lowerBound
        guard range.contains(start) || start == range.upperBound else { throw reader.outOfRange(start, range) }
        let limits = LogReader.Limits(messages: maximumMessages, bytes: configuration.maximumFetchBytes)
        return BrokerLog(reader: reader, range: start..<range.upperBound, limits: limits)
    }
}
