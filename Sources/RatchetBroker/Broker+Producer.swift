import Ratchet

extension Broker {
    /// A producer, which sends many messages at a time and sends again what was not confirmed. One that has a
    /// transactional id fences those that had it before: they can write nothing any more once this returns, and what
    /// they have committed can be read.
    ///
    /// Throws ``BrokerError``: `invalidArgument` for settings out of their bounds, `limitReached` beyond
    /// ``Configuration/maximumTransactionalIDs``, `full`, `storage`, `closed`; with several nodes `timedOut` when a
    /// transaction of an earlier producer is committed and cannot be read in ``Configuration/replicationTimeout``: they
    /// are fenced all the same, and the same call waits again.
    public func producer(_ settings: ProducerSettings = ProducerSettings()) async throws -> Producer {
        try settings.check()
        let (tables, now) = (storage.tables, producers.time.now)
        let bounds = ProducerTable.Bounds(
            names: configuration.maximumTransactionalIDs,
            expiry: configuration.producerExpiry,
            inUse: Set(producers.producers.map(\.id) + (cluster?.redo.owners ?? []))
        )
        let opened = try await storage.write(byteCount: 256) { transaction in
            try ProducerTable.open(settings.transactionalID, bounds, now: now, in: transaction, tables)
        } published: { [producers] opened in
            producers.publish(opened)
        }
        // What a node's writer has let through before that is written before this returns.
        try await cluster?.passWriters()
        for id in [opened.row.id, opened.retired].compactMap({ $0 }) { try await awaitCommitted(of: id) }
        let producer = Producer(settings, id: opened.row.id, incarnation: opened.row.incarnation, broker: self)
        producers.add(producer)
        return producer
    }

    private func awaitCommitted(of id: Int64) async throws {
        guard let cluster, await !cluster.untilApplied(owner: id) else { return }
        try Task.checkCancellation()
        if let failure { throw failure }
        throw BrokerError(
            .timedOut,
            "an earlier producer is fenced, but not all nodes have what it committed within "
                + "replicationTimeout, \(configuration.replicationTimeout): try again"
        )
    }

    /// Forgets idle producers, some at a time, and notes their time.
    func cleanProducers() async throws {
        let (tables, limit, time) = (storage.tables, configuration.producerExpiry, producers.time)
        let now = time.now
        let start = producers.nextExpiry
        let (rows, next) = try storage.read {
            try SequenceTable.expired(from: start, now: now, limit: limit, in: $0, tables)
        }
        producers.nextExpiry = next ?? LogKey(0, 0)
        try await storage.write(reclaims: true) {
            try SequenceTable.remove(rows, now: now, limit: limit, in: $0, tables)
            try time.write(in: $0, tables)
        }
        try await cluster?.cleanProducers(now: now, limit: limit)
    }
}

/// What an injected fault does to a producer's batch.
package enum ProducerFault: Sendable {
    /// The broker never hears of it.
    case requestLost
    /// The broker writes it, and the producer never hears of that.
    case answerLost
}
