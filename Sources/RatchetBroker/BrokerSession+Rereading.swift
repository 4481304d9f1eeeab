public import Ratchet

extension BrokerSession: RereadableSession {
    /// Messages that the partition's log still holds, up to ``Broker/Configuration/maximumFetchMessages`` of them. Waits
    /// while no node leads the partition, ``Broker/Configuration/leaderTimeout`` at the most, and throws ``BrokerError``
    /// with `leaderNotAvailable` then. See ``/Ratchet/RereadableSession``.
    public func messages(
        from offset: Int64,
        to end: Int64,
        of partition: TopicPartition
    ) async throws -> MessageBatch? {
        var next = offset
        while next < end {
            let found = try await reading(partition) { fetch in try read(fetch, from: next, to: end) }
            guard let found else { return nil }
            if let batch = found.batch { return batch }
            next = found.next
        }
        return nil
    }

    /// Nil where the log holds nothing between; what was found may be that there is a hole.
    private func read(_ fetch: MemberState.Fetch, from offset: Int64, to end: Int64) throws -> LogReader.Found? {
        while true {
            let start = max(offset, fetch.log.range.lowerBound)
            guard start < end else { return nil }
            do {
                let most = min(Int64(broker.configuration.maximumFetchMessages), end - start)
                guard let found = try read(fetch, start, Int(most)) else {
                    try fetch.log.checkCanBeRead(at: start)
                    return nil
                }
                guard let batch = found.batch, batch.lastOffset >= end else { return found }
                // Where there are holes, so many messages reach beyond the end.
                let count = (0..<batch.count).count { batch.offset(at: $0) < end }
                return count == 0 ? nil : try read(fetch, start, count)
            } catch let error as SourceError
                where error.code == .offsetOutOfRange && start < fetch.log.range.lowerBound
            {
                // Retention was faster.
                continue
            }
        }
    }

    private func read(_ fetch: MemberState.Fetch, _ offset: Int64, _ count: Int) throws -> LogReader.Found? {
        var place: LogReader.Place?
        let limits = LogReader.Limits(messages: count, bytes: broker.configuration.maximumFetchBytes)
        return try LogReader(fetch.log).read(
            from: offset,
            generation: fetch.generation,
            limits: limits,
            place: &place
        )
    }
}
