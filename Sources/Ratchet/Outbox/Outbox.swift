import LMDB
import Synchronization

/// The ledger's outbox: messages that were committed with their cause and wait to be sent, in entries of one commit
/// each.
package final class Outbox: Sendable {
    private struct State {
        var isRelayed = false
        /// Opened when entries are deleted.
        var deletions: [Latch] = []
        var successors: [(id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextID = 0
        var refusal: Refusal?
    }

    /// A message that the sink did not confirm.
    struct Refusal: Sendable {
        var topic: String
        var error: any Error
    }

    private let environment: Environment
    private let table: Table
    private let writer: WriterThread
    private let state = Mutex(State())
    private let unconfirmed: Atomic<Int>
    let news = Signal()

    /// An outbox that holds `unconfirmed` messages.
    init(environment: Environment, table: Table, writer: WriterThread, unconfirmed: Int) {
        self.environment = environment
        self.table = table
        self.writer = writer
        self.unconfirmed = Atomic(unconfirmed)
    }

    /// How many messages the table holds. Throws ``CorruptionError`` for an entry that is not what was written.
    static func messages(in table: Table, of transaction: borrowing ReadTransaction) throws -> Int {
        try transaction.withCursor(in: table) { cursor in
            var messages = 0
            var row = try cursor.first()
            while let found = row {
                guard let count = OutboxLayout.count(of: found.value, number: found.integerKey) else {
                    throw CorruptionError("outbox entry \(found.integerKey)")
                }
                messages += count
                row = try cursor.next()
            }
            return messages
        }
    }

    /// How many messages are not confirmed yet.
    package var backlog: Int { unconfirmed.load(ordering: .relaxed) }

    /// The sink has confirmed so many.
    func confirmed(_ messages: Int) { unconfirmed.subtract(messages, ordering: .relaxed) }

    /// The relay ends, and so many that the sink has confirmed will be sent again by its successor: their entries stay.
    func willRepeat(_ messages: Int) { unconfirmed.add(messages, ordering: .relaxed) }

    /// What the sink last refused; nil once it has taken all that it had refused.
    var refusal: Refusal? { state.withLock { $0.refusal } }

    func note(_ refusal: Refusal?) { state.withLock { $0.refusal = refusal } }

    /// Tells where the messages of the entries from number `first` on lie, until there are `messages` or more.
    func scan(from first: UInt64, messages: Int) throws -> [OutboxItem] {
        try environment.read { transaction in
            try transaction.withCursor(in: table) { cursor in
                var items: [OutboxItem] = []
                var row = try cursor.seek(atLeast: first)
                while let found = row, items.count < messages {
                    guard OutboxLayout.scan(found.value, of: found.integerKey, into: &items) else {
                        throw CorruptionError("outbox entry \(found.integerKey)")
                    }
                    row = try cursor.next()
                }
                return items
            }
        }
    }

    /// Reads messages of entries that are still there, in the order of `items`.
    func read(_ items: [OutboxItem]) throws -> OutgoingBatch {
        var batch = OutgoingBatch()
        batch.reserve(messages: items.count, bytes: items.reduce(0) { $0 + Int($1.size) })
        return try environment.read { transaction in
            var last: (item: OutboxItem, bytes: UnsafeRawBufferPointer, topic: String)?
            for item in items {
                let isSameEntry = last?.item.entry == item.entry
                let bytes = isSameEntry ? last?.bytes : try transaction.get(item.entry, in: table)
                let topic = isSameEntry && last?.item.topic == item.topic ? last?.topic : nil
                guard let bytes, let topic = OutboxLayout.append(item, of: bytes, topic: topic, to: &batch) else {
                    throw CorruptionError("outbox entry \(item.entry)")
                }
                last = (item, bytes, topic)
            }
            return batch
        }
    }

    /// Deletes entries all of whose messages are confirmed.
    func delete(_ entries: [UInt64]) async throws {
        #if CrashPoints
            CrashPoint.outboxSent.reach()
        #endif
        let table = table
        try await writer.write(reclaims: true) { transaction in
            for entry in entries { try transaction.delete(entry, in: table) }
        }
        #if CrashPoints
            CrashPoint.outboxDeleted.reach()
        #endif
        for latch in state.withLock({ $0.deletions }) { latch.open() }
    }

    // MARK: News

    /// Messages were committed: the relay has something to do.
    package func committed(_ messages: Int) {
        unconfirmed.add(messages, ordering: .relaxed)
        news.tell()
    }

    /// Returns once everything that the outbox holds now is sent, or the task is cancelled. What is committed meanwhile
    /// is not waited for: other pipelines of the ledger may go on for ever.
    package func drained() async throws {
        guard let last = try entry({ try $0.last()?.integerKey }) else { return }
        while !Task.isCancelled {
            let deletion = Latch()
            state.withLock { $0.deletions.append(deletion) }
            // Looked at once the latch is there: an entry may go at any moment.
            let isDrained = try entry({ try $0.first()?.integerKey }).map { $0 > last } ?? true
            if !isDrained { await deletion.wait() }
            state.withLock { state in state.deletions.removeAll { $0 === deletion } }
            if isDrained { return }
        }
    }

    private func entry(_ body: (borrowing Cursor) throws -> UInt64?) throws -> UInt64? {
        try environment.read { try $0.withCursor(in: table, body) }
    }

    // MARK: One relay at a time

    /// Waits until no other relay works on this outbox, and takes the part; false if the task was cancelled first.
    func becomeRelay() async -> Bool {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = state.withLock { state in
                    if Task.isCancelled { return false }
                    if state.isRelayed {
                        state.successors.append((id, continuation))
                        return nil
                    }
                    state.isRelayed = true
                    return true
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                state.successors.firstIndex { $0.id == id }.map { state.successors.remove(at: $0).continuation }
            }
            waiting?.resume(returning: false)
        }
    }

    /// Gives the part to whoever waits for it.
    func endRelay() {
        let next = state.withLock { state in
            state.isRelayed = !state.successors.isEmpty
            return state.successors.isEmpty ? nil : state.successors.removeFirst().continuation
        }
        next?.resume(returning: true)
    }
}
