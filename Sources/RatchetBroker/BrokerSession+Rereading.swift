public import Ratchet

extension BrokerSession: RereadableSession {
    /// Messages that the partition's log still holds, up to ``Broker/Configuration/maximumFetchMessages`` of them. Waits
    /// while no node leads the partition. See ``/Ratchet/RereadableSession``.
    public func messages(
        from offset: Int64,
        to end: Int64,
        of partition: TopicPartition
    ) async throws -> MessageBatch? {
        var next = offset
        while true {
            let fetch = try member.assignment(of: partition)
            next = max(next, fetch.log.range.lowerBound)
            guard next < end else { return nil }
            let most = min(Int64(broker.configuration.maximumFetchMessages), end - next)
            do {
                guard let found = try read(fetch, next, Int(most)) else {
                    guard !fetch.log.isLed else { return nil }
                    try await member.untilChanged(fetch.log)
                    continue
                }
                next = found.next
                guard let batch = found.batch else { continue }
                guard batch.lastOffset >= end else { return batch }
                // Where there are holes, so many messages reach beyond the end.
                let count = (0..<batch.count).count { batch.offset(at: $0) < end }
                return count == 0 ? nil : try read(fetch, batch.startOffset, count)?.batch
            } catch let error as SourceError where error.code == .offsetOutOfRange && next < fetch.log.range.lowerBound
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
