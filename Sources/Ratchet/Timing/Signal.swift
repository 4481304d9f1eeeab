import Synchronization

/// Something to wait for that may be told again and again; being told while nobody waits is remembered, once. One task
/// waits at a time.
package final class Signal: Sendable {
    private struct State {
        var isTold = false
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    package init() {}

    /// Wakes who waits, or the next who does.
    package func tell() {
        let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let waiting = state.waiting.take() else {
                state.isTold = true
                return nil
            }
            return waiting
        }
        waiting?.resume()
    }

    /// Waits until told, or until the task is cancelled.
    package func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isTold || Task.isCancelled {
                        state.isTold = false
                        return true
                    }
                    state.waiting = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.take() }?.resume()
        }
    }

    /// Waits until told, for `limit` at the most, or until the task is cancelled.
    package func wait(atMost limit: Duration, clock: any Clock<Duration>) async {
        await withTaskGroup { group in
            group.addTask { await self.wait() }
            group.addTask {
                // Cancelled when told first: there is nothing to be done about it.
                do { try await clock.sleep(for: limit) } catch { return }
            }
            await group.next()
            group.cancelAll()
        }
    }
}

/// Something that happens once: whoever waits then, or later, goes on.
package final class Latch: Sendable {
    private struct State {
        var isOpen = false
        var next = 0
        var waiting: [(id: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// Whether it has happened.
    package var isOpen: Bool { state.withLock { $0.isOpen } }

    /// It happens.
    package func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for (_, continuation) in waiting { continuation.resume() }
    }

    /// Waits until it has happened, or the task is cancelled.
    package func wait() async {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isOpen || Task.isCancelled { return true }
                    state.waiting.append((id, continuation))
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0).continuation }
            }
            continuation?.resume()
        }
    }

    /// Waits until it has happened, for `limit` at the most; whether it has.
    package func wait(atMost limit: Duration, clock: any Clock<Duration>) async -> Bool {
        await withTaskGroup { group in
            group.addTask { await self.wait() }
            group.addTask {
                // Cancelled when the latch opens first.
                do { try await clock.sleep(for: limit) } catch { return }
            }
            await group.next()
            group.cancelAll()
        }
        return isOpen
    }
}
