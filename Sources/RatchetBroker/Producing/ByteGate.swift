import DequeModule
import Synchronization

/// Bounds the bytes that are on their way: who would go beyond the limit waits, first come, first served.
final class ByteGate: Sendable {
    private struct Waiter {
        let number: UInt64
        let bytes: Int
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var bytes = 0
        var waiters = Deque<Waiter>()
        var lastNumber: UInt64 = 0
        /// Cancelled before they had begun to wait.
        var cancelled: Set<UInt64> = []
        var error: BrokerError?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// Returns once `bytes` more fit, or nothing else is on its way. Throws when cancelled before that, or when closed.
    func enter(_ bytes: Int) async throws {
        try Task.checkCancellation()
        let number = try state.withLock { state throws(BrokerError) -> UInt64? in
            if let error = state.error { throw error }
            if state.waiters.isEmpty, state.bytes == 0 || state.bytes + bytes <= limit {
                state.bytes += bytes
                return nil
            }
            state.lastNumber += 1
            return state.lastNumber
        }
        guard let number else { return }
        // A cancellation that came too late has left its mark.
        defer { state.withLock { _ = $0.cancelled.remove(number) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                wait(Waiter(number: number, bytes: bytes, continuation: continuation))
            }
        } onCancel: {
            cancel(number)
        }
    }

    /// The same, for `limit` at the most; whether they fitted by then.
    func enter(_ bytes: Int, atMost limit: Duration, clock: BrokerClock) async throws -> Bool {
        if enterAtOnce(bytes) { return true }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do { try await self.enter(bytes) } catch is CancellationError { return false }
                return true
            }
            group.addTask {
                // Cancelled when the other one ends first.
                do { try await clock.sleep(for: limit) } catch { return false }
                return false
            }
            var hasEntered = try await group.next() ?? false
            group.cancelAll()
            // It may have come through as the time was up.
            while let other = try await group.next() { hasEntered = hasEntered || other }
            return hasEntered
        }
    }

    /// Whether they fit now; who waits comes first.
    func enterAtOnce(_ bytes: Int) -> Bool {
        state.withLock { state in
            guard state.error == nil, state.waiters.isEmpty, state.bytes == 0 || state.bytes + bytes <= limit else {
                return false
            }
            state.bytes += bytes
            return true
        }
    }

    /// Counts bytes that are on their way already.
    func add(_ bytes: Int) { state.withLock { $0.bytes += bytes } }

    /// Gives the bytes back.
    func leave(_ bytes: Int) {
        let ready = state.withLock { state in
            state.bytes -= bytes
            return admit(&state)
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    /// How many wait.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// All that wait, and all that come later, throw `error`.
    func close(_ error: BrokerError) {
        let waiters = state.withLock { state in
            state.error = error
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }

    private func wait(_ waiter: Waiter) {
        let outcome = state.withLock { state -> Result<[Waiter], any Error> in
            if state.cancelled.remove(waiter.number) != nil { return .failure(CancellationError()) }
            if let error = state.error { return .failure(error) }
            state.waiters.append(waiter)
            return .success(admit(&state))
        }
        switch outcome {
        case .success(let ready): for waiter in ready { waiter.continuation.resume() }
        case .failure(let error): waiter.continuation.resume(throwing: error)
        }
    }

    /// Takes those from the front whose turn it is.
    private func admit(_ state: inout State) -> [Waiter] {
        var ready: [Waiter] = []
        while let next = state.waiters.first, state.bytes == 0 || state.bytes + next.bytes <= limit {
            state.bytes += next.bytes
            ready.append(next)
            state.waiters.removeFirst()
        }
        return ready
    }

    private func cancel(_ number: UInt64) {
        let (waiter, ready) = state.withLock { state -> (Waiter?, [Waiter]) in
            guard let index = state.waiters.firstIndex(where: { $0.number == number }) else {
                state.cancelled.insert(number)
                return (nil, [])
            }
            return (state.waiters.remove(at: index), admit(&state))
        }
        waiter?.continuation.resume(throwing: CancellationError())
        for waiter in ready { waiter.continuation.resume() }
    }
}
