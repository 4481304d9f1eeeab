import Synchronization

@testable import Ratchet

/// A sink whose answers a test writes: it keeps what it has confirmed, in order.
final class ScriptedSink: Sink {
    struct Sent: Hashable, Sendable {
        var topic: String
        var key: [UInt8]?
        var id: String
        var payload: [UInt8]
    }

    private struct State {
        var taken: [Sent] = []
        var watchers: [(condition: @Sendable ([Sent]) -> Bool, latch: Latch)] = []
        var failure: (any Error)?
    }

    struct Refused: Error {}

    private let answer: @Sendable ([Sent]) throws -> Set<Int>
    private let state = Mutex(State())

    /// `answer` tells which messages of a batch fail, or throws when nothing is known.
    init(_ answer: @escaping @Sendable ([Sent]) throws -> Set<Int>) { self.answer = answer }

    var failure: (any Error)? { state.withLock { $0.failure } }

    /// From now on nothing that is sent can succeed.
    func lose(_ failure: any Error) { state.withLock { $0.failure = failure } }

    /// What was confirmed, repeats included.
    var confirmed: [Sent] { state.withLock { $0.taken } }

    /// Waits until what was confirmed is as it should be.
    func until(_ condition: @escaping @Sendable ([Sent]) -> Bool) async {
        let latch = Latch()
        let isTrue = state.withLock { state in
            if condition(state.taken) { return true }
            state.watchers.append((condition, latch))
            return false
        }
        if !isTrue { await latch.wait() }
    }

    func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
        let sent = try OutgoingBatchTests.messages(of: batch).map { message in
            let id = message.headers.first { $0.name == Header.messageIDName }?.text ?? ""
            return Sent(topic: message.topic, key: message.key, id: id, payload: message.payload)
        }
        let failed = try answer(sent)
        let latches = state.withLock { state in
            for (index, message) in sent.enumerated() where !failed.contains(index) { state.taken.append(message) }
            let taken = state.taken
            let met = state.watchers.filter { $0.condition(taken) }
            state.watchers.removeAll { watcher in met.contains { $0.latch === watcher.latch } }
            return met.map(\.latch)
        }
        for latch in latches { latch.open() }
        return failed.sorted().map { SinkFailure(index: $0, error: Refused()) }
    }
}
