import LMDB
import Synchronization

/// The ledger's outbox: messages that were committed with their cause and wait to be sent, in entries of one commit each.
package final class Outbox: Sendable {
    private struct State {
        var isRelayed = false
        var empty: [Latch] = []
        var successors: [(id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextID = 0
    }

    private let environment: Environment
    private let table: Table
    private let writer: WriterThread
    private let state = Mutex(State())
    let news = Signal()

    init(environment: Environment, table: Table, writer: WriterThread) {
        self.environment = environment
        self.table = table
        self.writer = writer
    }

    /// How many entries wait.
    package var count: Int { get throws { try environment.read { try $0.count(table) } } }

    /// Reads entries from number `first` on into `batch`, until it holds `messages` or more, and tells each one's number and how many messages it
    /// brought.
    func read(from first: UInt64, into batch: inout OutgoingBatch, messages: Int) throws -> [(entry: UInt64, count: Int)] {
        try environment.read { transaction in
            try transaction.withCursor(in: table) { cursor in
                var entries: [(entry: UInt64, count: Int)] = []
                var row = try cursor.seek(atLeast: first)
                while let found = row, batch.count < messages {
                    guard let count = OutboxLayout.decode(found.value, into: &batch) else {
                        throw CorruptionError("outbox entry \(found.integerKey)")
                    }
                    entries.append((found.integerKey, count))
                    row = try cursor.next()
                }
                return entries
            }
        }
    }

    /// Deletes entries all of whose messages are confirmed.
    func delete(_ entries: [UInt64]) async throws {
        let table = table
        try await writer.write(reclaims: true) { transaction in
            for entry in entries { try transaction.delete(entry, in: table) }
        }
    }

    // MARK: News

    /// Messages were committed: the relay has something to do.
    package func notify() { news.tell() }

    /// Returns once the outbox is empty, or the task is cancelled. What is committed meanwhile has to be sent as well.
    package func drained() async throws {
        while !Task.isCancelled {
            // Before the count, so that no announcement is missed.
            let empty = Latch()
            state.withLock { $0.empty.append(empty) }
            if try count == 0 { return announceEmpty() }
            await empty.wait()
        }
    }

    func announceEmpty() {
        let waiting = state.withLock { state in
            defer { state.empty = [] }
            return state.empty
        }
        for latch in waiting { latch.open() }
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
