import LMDB

/// What lies around one piece's transaction: tables that are open, what can be undone, what is to be published. On the
/// writer thread only.
final class TransactionScope {
    /// What changes with every message.
    struct Current {
        var number: Int?
        var undo = UndoLog()
        var outgoingMark = 0
    }

    private(set) var outgoing = OutgoingBatch()
    private let publishes: Bool
    private let entries: [SettlementEntry]
    private var tables: [(identity: StateTableIdentity, table: Table)] = []
    /// Behind a pointer: a property would be checked for exclusive access at each message.
    let current: UnsafeMutablePointer<Current>

    /// The scope of a new piece that settles `entries`.
    init(entries: [SettlementEntry] = [], publishes: Bool) {
        self.entries = entries
        self.publishes = publishes
        current = .allocate(capacity: 1)
        current.initialize(to: Current())
    }

    deinit {
        current.deinitialize(count: 1)
        current.deallocate()
    }

    /// The message being settled.
    var entry: SettlementEntry? { current.pointee.number.map { entries[$0] } }

    /// A message begins: what it writes can be undone from here.
    func begin(_ number: Int) {
        current.pointee.number = number
        current.pointee.outgoingMark = outgoing.count
        current.pointee.undo.begin()
    }

    /// Takes back what the message wrote.
    func undoMessage(in transaction: borrowing WriteTransaction) throws {
        try current.pointee.undo.undo(in: transaction)
        outgoing.truncate(to: current.pointee.outgoingMark)
    }

    /// Takes over what an async handler published.
    func publish(_ batch: OutgoingBatch) {
        for index in 0..<batch.count { outgoing.append(entry: index, of: batch) }
    }

    func table(_ identity: StateTableIdentity, in transaction: borrowing WriteTransaction) throws -> Table {
        for known in tables where known.identity === identity { return known.table }
        let table = try transaction.table(identity.storedName, create: true)
        tables.append((identity, table))
        return table
    }

    func publish(_ message: OutgoingMessage) throws {
        guard publishes else { throw Self.noSink(message.topic) }
        var message = message
        if !message.headers.contains(where: { $0.name == Header.messageIDName }) {
            guard let entry else {
                throw LedgerError(
                    .invalidArgument,
                    "a message for topic '\(message.topic)' has no `message-id` and no message to derive one from"
                )
            }
            let number = outgoing.count - current.pointee.outgoingMark
            message.headers.append(.messageID(Self.derivedID(of: entry, number: number)))
        }
        try outgoing.append(message)
    }

    static func noSink(_ topic: String) -> LedgerError {
        LedgerError(
            .invalidArgument,
            "a message for topic '\(topic)' was published, and the pipeline has no sink; give it one by `publishingTo:`"
        )
    }

    /// The id of the so-manieth message that `entry` publishes: it depends on nothing that a retry or a crash could
    /// change.
    static func derivedID(of entry: SettlementEntry, number: Int) -> String {
        let origin =
            entry.batch.key(at: Int(entry.index))?.description ?? "\(entry.batch.lease.partition)/\(entry.offset)"
        return "\(entry.batch.lease.group)/\(entry.batch.lease.partition.topic)/\(origin)#\(number)"
    }
}
