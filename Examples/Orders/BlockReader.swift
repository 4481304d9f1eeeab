import Dispatch
import Synchronization

/// Reads a file on a thread of its own: a pipe that brings nothing for an hour holds up nobody else.
final class BlockReader: Sendable {
    private let file: FileDescriptor
    private let queue = DispatchQueue(label: "orders.input")

    init(_ file: FileDescriptor) { self.file = file }

    /// The next bytes, at most `count`; none at the end. Throws ``SystemError``; `CancellationError` at once when the
    /// task is cancelled, though the read itself goes on: after that nothing more must be read.
    func next(_ count: Int) async throws -> [UInt8] {
        let handover = Handover()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                handover.await(continuation)
                queue.async { [file] in handover.finish(Result { try file.read(count) }) }
            }
        } onCancel: {
            handover.finish(.failure(CancellationError()))
        }
    }
}

/// One result for one task; the first result counts.
private final class Handover: Sendable {
    private enum State {
        case begun
        case waiting(CheckedContinuation<[UInt8], any Error>)
        case finished(Result<[UInt8], any Error>)
    }

    private let state = Mutex(State.begun)

    func await(_ continuation: CheckedContinuation<[UInt8], any Error>) {
        let result = state.withLock { state -> Result<[UInt8], any Error>? in
            if case .finished(let result) = state { return result }
            state = .waiting(continuation)
            return nil
        }
        if let result { continuation.resume(with: result) }
    }

    func finish(_ result: Result<[UInt8], any Error>) {
        let continuation = state.withLock { state -> CheckedContinuation<[UInt8], any Error>? in
            switch state {
            case .begun:
                state = .finished(result)
                return nil
            case .waiting(let continuation):
                state = .finished(result)
                return continuation
            case .finished: return nil
            }
        }
        continuation?.resume(with: result)
    }
}
