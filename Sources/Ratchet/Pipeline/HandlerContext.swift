public import Logging

/// What an async handler knows about its message, and what it leaves to be written when the message is settled.
///
/// What the handler does outside of the ledger happens at least once; what it leaves here happens exactly once, in the
/// transaction that moves the message's position. Valid until the handler returns.
public struct HandlerContext: Sendable {
    /// The message as it was delivered.
    public var message: Message { entry.message }
    /// The number of this attempt, from 1.
    public var attempt: Int { Int(entry.attempt) }
    /// The message's idempotency key, nil for a pipeline by position only. Hand it to services that know idempotency
    /// keys.
    public var idempotencyKey: IdempotencyKey? { entry.batch.key(at: Int(entry.index)) }
    /// A logger that names the message.
    public var logger: Logger {
        var logger = baseLogger
        logger[metadataKey: LogKeys.topic] = "\(message.topic)"
        logger[metadataKey: LogKeys.partition] = "\(message.partition)"
        logger[metadataKey: LogKeys.offset] = "\(message.offset)"
        logger[metadataKey: LogKeys.attempt] = "\(attempt)"
        return logger
    }

    private let entry: SettlementEntry
    private let effects: MessageEffects
    private let publishes: Bool
    private let baseLogger: Logger

    init(_ entry: SettlementEntry, effects: MessageEffects, publishes: Bool, logger: Logger) {
        self.entry = entry
        self.effects = effects
        self.publishes = publishes
        baseLogger = logger
    }

    /// The generation of the partition's assignment: a fencing token for other systems, which should refuse what comes
    /// with a lower one.
    public var generation: Int64 { message.generation }

    /// Leaves work for the transaction that settles the message. It runs on the ledger's writer thread, so it should
    /// take microseconds; closures of one message run in the order in which they were left. If one throws, everything
    /// of the message is undone and the message is retried, its handler included.
    public func onCommit(_ body: @escaping @Sendable (borrowing LedgerTransaction) throws -> Void) {
        effects.append(body)
    }

    /// Publishes a message if and when this one is settled: encoded here, sent by the outbox until confirmed, in the
    /// order of its key. Without a `message-id` header it is given one that is the same at every attempt. Throws
    /// ``MessageError``; ``LedgerError/Code/invalidArgument`` if the pipeline has no sink.
    public func publish(_ outgoing: OutgoingMessage) throws {
        guard publishes else { throw TransactionScope.noSink(outgoing.topic) }
        try effects.publish(outgoing) { outgoing, number in
            guard !outgoing.headers.contains(where: { $0.name == Header.messageIDName }) else { return }
            outgoing.headers.append(.messageID(TransactionScope.derivedID(of: entry, number: number)))
        }
    }

    /// Publishes `value` as JSON; see ``publish(_:)``.
    public func publish(
        _ value: some Encodable,
        to topic: String,
        key: String? = nil,
        id: String? = nil,
        headers: [Header] = []
    ) throws {
        try publish(OutgoingMessage(json: value, to: topic, key: key, id: id, headers: headers))
    }
}
