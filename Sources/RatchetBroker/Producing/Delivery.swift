import Ratchet
import Synchronization

/// Messages that a producer was handed together for one partition, until it is known what became of them.
final class Delivery: Sendable {
    typealias Outcome = Result<Int64, any Error>

    private struct State {
        var outcome: Outcome?
        var isTaken = false
        /// Counts what may make a waiting task act.
        var version = 0
        var lastID = 0
        var waiting: [(id: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var callback: (@Sendable (Outcome) -> Void)?
    }

    let log: PartitionLog
    let messages: Int
    let bytes: Int
    private let state: Mutex<State>

    init(log: PartitionLog, _ part: RoutedBatch.Part, callback: (@Sendable (Outcome) -> Void)?) {
        self.log = log
        messages = part.count
        bytes = part.bytes.count
        state = Mutex(State(callback: callback))
    }

    private init(settled delivery: Delivery) {
        log = delivery.log
        messages = delivery.messages
        bytes = delivery.bytes
        state = Mutex(State(outcome: .success(-1), isTaken: true))
    }

    /// The same messages as one sees them who does not care what becomes of them.
    var settledAtOnce: Delivery { Delivery(settled: self) }

    /// Where the message at `index` is; `offset` is the first one's.
    func metadata(_ offset: Int64, _ index: Int) -> RecordMetadata {
        RecordMetadata(partition: log.partition, offset: offset < 0 ? -1 : offset + Int64(index))
    }

    /// Whether its outcome is decided.
    var isTaken: Bool { state.withLock { $0.isTaken } }

    /// Its outcome is decided, and about to be told.
    func take() { state.withLock { $0.isTaken = true } }

    /// The offset of the first message, -1 when the broker does not say; or why it failed.
    var outcome: Outcome? { state.withLock { $0.outcome } }

    /// How many tasks wait.
    var waiting: Int { state.withLock { $0.waiting.count } }

    var version: Int { state.withLock { $0.version } }

    /// Called once.
    func settle(_ outcome: Outcome) {
        let callback = state.withLock { state in
            state.outcome = outcome
            return state.callback.take()
        }
        callback?(outcome)
        wake()
    }

    /// Who waits looks again at what there is to do.
    func wake() {
        let waiting = state.withLock { state in
            state.version += 1
            defer { state.waiting = [] }
            return state.waiting
        }
        for (_, continuation) in waiting { continuation.resume() }
    }

    /// Waits until the version is another one, or the task is cancelled.
    func wait(since version: Int) async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.version != version || Task.isCancelled { return true }
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

    /// The same, for `limit` at the most.
    func wait(since version: Int, atMost limit: Duration, clock: BrokerClock) async {
        await withTaskGroup { group in
            group.addTask { await self.wait(since: version) }
            group.addTask {
                // Cancelled when the other one ends first.
                do { try await clock.sleep(for: limit) } catch { return }
            }
            await group.next()
            group.cancelAll()
        }
    }
}

/// What becomes of a message that a ``Producer`` was handed.
public struct Confirmation: Sendable {
    let producer: Producer
    let delivery: Delivery

    /// Waits until the message is confirmed, and sends again meanwhile what is to be sent again. Any number of tasks may
    /// wait, any number of times.
    ///
    /// Throws what ``Producer/send(_:)-(OutgoingMessage)`` throws; `CancellationError` when cancelled, and then the
    /// message goes on its way all the same.
    public func wait() async throws -> RecordMetadata {
        let offset = try await producer.outcome(of: delivery).get()
        return RecordMetadata(partition: delivery.log.partition, offset: offset)
    }

    /// What became of it, nil while that is not known.
    public var result: Result<RecordMetadata, any Error>? {
        delivery.outcome.map { outcome in
            outcome.map { RecordMetadata(partition: delivery.log.partition, offset: $0) }
        }
    }
}
