import LMDB
import Ratchet

/// Moves messages of queues to their dead-letter topics.
struct DeadLetterWriter: Sendable {
    let catalog: Catalog
    let producers: ProducerRegistry
    let time: TimeSource

    /// The messages as they are to be appended, with what became of them in their headers; without those that retention
    /// has removed. Throws when the topic cannot take them.
    func batch(
        of letters: [SharedGroup.DeadLetter],
        from group: SharedGroupShell,
        to topic: String
    ) throws -> RoutedBatch {
        var batch = OutgoingBatch()
        for letter in letters {
            guard let message = try message(of: letter, group) else { continue }
            try batch.append(
                to: topic,
                key: message.key,
                payload: message.payload,
                headers: message.headers + headers(of: letter, group)
            )
        }
        let routed = RoutedBatch(batch, catalog: catalog, now: time.wall())
        if let fault = routed.faults.first { throw fault.error }
        return routed
    }

    /// Appends the batch; returns what is to be published once it is durable.
    func append(
        _ batch: RoutedBatch,
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    ) throws -> [(log: PartitionLog, row: PartitionRow)] {
        var append = GroupAppend(tables, producers, maximumProducerStates: 0, now: time.wall())
        _ = try append.add(Appender.Request(batch) { _ in }, in: transaction).get()
        try append.finish(in: transaction)
        return append.writers.map { ($0.log, $0.row) }
    }

    private func message(of letter: SharedGroup.DeadLetter, _ group: SharedGroupShell) throws -> Message? {
        let log = group.topic.logs[letter.partition]
        var place: LogReader.Place?
        do {
            let limits = LogReader.Limits(messages: 1, bytes: 1)
            let found = try LogReader(log).read(from: letter.offset, generation: 0, limits: limits, place: &place)
            guard let found else {
                throw BrokerError(.storage, "\(log.partition) cannot be read now: try again later")
            }
            return found.batch.flatMap { $0.offset(at: 0) == letter.offset ? $0[0] : nil }
        } catch let error as SourceError where error.code == .offsetOutOfRange {
            return nil
        }
    }

    private func headers(of letter: SharedGroup.DeadLetter, _ group: SharedGroupShell) -> [Header] {
        [
            Header("dead-letter-topic", group.topic.name), Header("dead-letter-partition", "\(letter.partition)"),
            Header("dead-letter-offset", "\(letter.offset)"), Header("dead-letter-group", group.name),
            Header("dead-letter-reason", letter.reason.rawValue), Header("dead-letter-deliveries", "\(letter.count)"),
        ]
    }
}
