public import Ratchet
import Synchronization

/// Messages to any topics, and consumed offsets, that are written together or not at all. See
/// ``Producer/transaction(_:)``.
public final class ProducerTransaction: Sendable {
    private struct State {
        var batch = OutgoingBatch()
        var consumed: Consumed?
        var isOver = false
    }

    /// What a member of a group has consumed.
    struct Consumed: Sendable {
        let session: BrokerSession
        var commits: [OffsetCommit]
    }

    private let settings: ProducerSettings
    private let broker: Broker
    let deadline: Duration
    private let state = Mutex(State())

    init(_ settings: ProducerSettings, _ broker: Broker) {
        self.settings = settings
        self.broker = broker
        deadline = broker.clock.now + settings.transactionTimeout
    }

    /// Adds a message, in memory. Throws ``/Ratchet/MessageError``: `tooLarge`, `emptyKey`, `invalidHeader`;
    /// ``BrokerError``: `limitReached` beyond ``ProducerSettings/maximumTransactionMessages`` or
    /// ``ProducerSettings/maximumTransactionBytes``, `transactionOver`. Nothing is added then.
    public func send(_ message: OutgoingMessage) throws {
        try check()
        try state.withLock { state in
            try checkOpen(state)
            guard state.batch.count < settings.maximumTransactionMessages else {
                let limit = settings.maximumTransactionMessages
                throw BrokerError(.limitReached, "the transaction would exceed maximumTransactionMessages, \(limit)")
            }
            try state.batch.append(message)
            guard state.batch.byteCount <= settings.maximumTransactionBytes else {
                let size = state.batch.byteCount
                state.batch.truncate(to: state.batch.count - 1)
                let limit = settings.maximumTransactionBytes
                throw BrokerError(.limitReached, "the transaction would hold \(size) bytes, at most \(limit)")
            }
        }
    }

    /// Commits consumed offsets with the transaction, as the session's own `commit` does: refused, and the transaction
    /// with it, when the member does not own a partition under the commit's generation by then. Offsets of one session
    /// per transaction.
    ///
    /// Throws ``BrokerError``: `invalidArgument` for a session of another broker, or a second one; `limitReached`,
    /// `transactionOver`.
    public func commit(_ commits: [OffsetCommit], of session: any SourceSession) throws {
        try check()
        guard let session = session as? BrokerSession, session.broker === broker else {
            throw BrokerError(.invalidArgument, "a transaction commits offsets of sessions of its own broker only")
        }
        try state.withLock { state in
            try checkOpen(state)
            var consumed = state.consumed ?? Consumed(session: session, commits: [])
            guard consumed.session === session else {
                throw BrokerError(.invalidArgument, "a transaction commits offsets of one session only")
            }
            guard consumed.commits.count + commits.count <= settings.maximumTransactionMessages else {
                let limit = settings.maximumTransactionMessages
                throw BrokerError(.limitReached, "the transaction would exceed maximumTransactionMessages, \(limit)")
            }
            consumed.commits += commits
            state.consumed = consumed
        }
    }

    /// What it holds; it takes nothing more.
    func finish() -> (OutgoingBatch, Consumed?) {
        state.withLock { state in
            state.isOver = true
            defer {
                state.batch = OutgoingBatch()
                state.consumed = nil
            }
            return (state.batch, state.consumed)
        }
    }

    /// Throws once its time is up.
    func check() throws(BrokerError) {
        guard broker.clock.now <= deadline else {
            throw BrokerError(
                .transactionOver,
                "the transaction was not committed within transactionTimeout, \(settings.transactionTimeout)"
            )
        }
    }

    private func checkOpen(_ state: borrowing State) throws(BrokerError) {
        guard !state.isOver else { throw BrokerError(.transactionOver, "the transaction is committed or aborted") }
    }
}

extension Producer {
    /// Runs `body` and commits what it has sent, and the offsets that it has consumed, all in one write: when this
    /// returns all of that is durable and can be read. Nobody sees any of it before it is committed; nothing of it is
    /// there when `body` throws. One transaction at a time; what is sent beside it is not part of it.
    ///
    /// With several nodes the one write is in the broker's own file: it moves the offsets and holds the messages, which
    /// the partitions' leaders have in no log before. Then they go to all in-sync replicas of their partitions, for as
    /// long as that takes and across crashes: so partitions may show theirs one after the other, and over 4 MiB
    /// of one in pieces: each message once, in the order in which transactions were committed, and from then on as safe
    /// as a send with ``Acks/all``. What goes to a topic that is deleted meanwhile is gone with it.
    ///
    /// Throws what `body` throws; ``/Ratchet/MessageError`` for a message that cannot be sent;
    /// ``/Ratchet/SourceError`` as the session's `commit` does: `fenced`, `invalidArgument`, `unknownTopic`;
    /// ``BrokerError``: `invalidArgument` without a transactional id or while another transaction is open, `fenced`
    /// when a later producer has the id, `transactionOver` when the time is up, `full`, `closed`; with several nodes
    /// `notEnoughReplicas` and `leaderNotAvailable`, and `full` also where transactions that wait for their nodes take
    /// ``Broker/Configuration/maximumPendingBytes``, each after trying until the transaction's timeout. Nothing was
    /// written then. After `timedOut` and `storage` it is not known: an attempt had no answer, and those after it, until
    /// the transaction's timeout, had none or were refused, as those of a producer are that was fenced meanwhile. With
    /// `notYetVisible` the transaction is committed: not all of its messages could be read within
    /// ``Broker/Configuration/replicationTimeout``, or the task was cancelled or the broker closed meanwhile; do not send
    /// them again. `CancellationError` when cancelled before the commit, or between two attempts: after one without an
    /// answer it is not known either.
    public func transaction<R: Sendable>(
        _ body: (ProducerTransaction) async throws -> R
    ) async throws -> R {
        guard let name = settings.transactionalID else {
            throw BrokerError(.invalidArgument, "producer \(id) has no transactional id: set one for transactions")
        }
        guard let number = beginTransaction() else {
            throw BrokerError(.invalidArgument, "a transaction of '\(name)' is open: end it first")
        }
        defer { endTransaction() }
        let transaction = ProducerTransaction(settings, broker)
        defer { _ = transaction.finish() }
        let result = try await body(transaction)
        try transaction.check()
        let (batch, consumed) = transaction.finish()
        let routed = RoutedBatch(batch, catalog: broker.catalog, now: broker.configuration.time.wall())
        if let fault = routed.faults.first { throw fault.error }
        try await commit(routed, consumed, number, until: transaction.deadline)
        if let cluster = broker.cluster, await !cluster.untilApplied(owner: id) {
            throw BrokerError(
                .notYetVisible,
                "the transaction of '\(name)' is committed, and its messages will be seen once their partitions' nodes "
                    + "have them: do not send them again"
            )
        }
        return result
    }

    private func commit(
        _ batch: RoutedBatch,
        _ consumed: ProducerTransaction.Consumed?,
        _ number: Int64,
        until deadline: Duration
    ) async throws {
        var attempt = 1
        // Why it is not known what became of an attempt. That a later one was refused does not tell.
        var doubt: BrokerError?
        while true {
            do {
                return try await attemptCommit(batch, consumed, number, until: deadline)
            } catch let error as BrokerError where error.isRetriable {
                if !BrokerError.isUnwritten(error) { doubt = error }
                let delay = settings.limits.delays.delay(afterAttempt: attempt, random: 0.5)
                guard attempt <= settings.retries, broker.clock.now + delay <= deadline else { throw doubt ?? error }
                try await broker.clock.sleep(for: delay)
                attempt += 1
            } catch {
                guard let doubt, !(error is CancellationError) else { throw error }
                throw BrokerError(.timedOut, "\(doubt.detail); the next attempt was refused: \(error)")
            }
        }
    }

    private func attemptCommit(
        _ batch: RoutedBatch,
        _ consumed: ProducerTransaction.Consumed?,
        _ number: Int64,
        until deadline: Duration
    ) async throws {
        let fault = broker.configuration.producerFault()
        if fault == .requestLost { throw BrokerError(.timedOut, "the request was lost on purpose") }
        // An attempt whose answer was lost may have been the one.
        if !broker.producers.hasCommitted(number, of: id) {
            try await write(batch, consumed, number, until: deadline)
        }
        if fault == .answerLost { throw BrokerError(.timedOut, "the answer was lost on purpose") }
    }

    private func write(
        _ batch: RoutedBatch,
        _ consumed: ProducerTransaction.Consumed?,
        _ number: Int64,
        until deadline: Duration
    ) async throws {
        let offsets = try consumed.map { try $0.session.group.prepare($0.commits) }
        let messages = JointAppend(
            batch,
            owner: id,
            broker.producers,
            broker.cluster,
            now: broker.configuration.time.wall()
        )
        try await messages.takeRoom(until: deadline)
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            let piece = TransactionPiece(
                TransactionPiece.Commit(
                    name: settings.transactionalID ?? "",
                    producer: id,
                    incarnation: incarnation,
                    number: number,
                    offsets: offsets
                ),
                messages,
                broker
            ) { continuation.resume(with: $0) }
            guard let consumed else { return broker.storage.submit(piece) }
            do {
                try consumed.session.group.submit(piece, committing: consumed.commits, of: consumed.session.member)
            } catch {
                messages.discarded()
                continuation.resume(throwing: error)
            }
        }
    }
}
