#if RabbitMQ
    import DequeModule
    import Ratchet
    import Synchronization

    /// What a sink and its connection's thread hand each other.
    final class PublisherDesk: Sendable {
        typealias Result = Swift.Result<[SinkFailure], any Error>

        /// A batch to be sent.
        struct Job {
            let id: Int
            let batch: OutgoingBatch
            /// In nanoseconds of the monotonic clock.
            let deadline: Int64
        }

        private struct State {
            var jobs = Deque<Job>()
            /// What the thread is sending.
            var current: Int?
            /// Who waits for what becomes of a batch.
            var waiting: [Int: CheckedContinuation<[SinkFailure], any Error>] = [:]
            /// Cancelled before they were jobs.
            var cancelled: Set<Int> = []
            var nextID = 1
            var hasStarted = false
            var isClosed = false
            var hasEnded = false
            var closing: [CheckedContinuation<Void, Never>] = []
        }

        private let state = Mutex(State())
        let wakeup = Wakeup()

        // MARK: The sink's side

        /// Sends a batch. Its caller is answered in time, and when it is cancelled, whatever holds the thread up. `start`
        /// starts the thread, the first time.
        func send(
            _ batch: OutgoingBatch,
            within timeout: Duration,
            _ configuration: RabbitMQConfiguration,
            _ start: () -> Void
        ) async throws -> [SinkFailure] {
            let id = state.withLock { state in
                state.nextID += 1
                return state.nextID
            }
            defer { state.withLock { _ = $0.cancelled.remove(id) } }
            let job = Job(id: id, batch: batch, deadline: configuration.time.monotonic() + timeout.nanoseconds)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    // The thread knows what was confirmed: its answer is the better one.
                    do { try await configuration.clock.sleep(for: timeout + Self.grace) } catch { return }
                    self.giveUp(id, .success(Self.failures(of: batch, Self.late(timeout))))
                }
                defer { group.cancelAll() }
                return try await wait(for: job, start)
            }
        }

        /// For how long the thread may be late.
        private static let grace = Duration.milliseconds(250)

        static func late(_ timeout: Duration) -> RabbitMQError {
            RabbitMQError(.timedOut, "not confirmed within \(timeout)")
        }

        private static func failures(of batch: OutgoingBatch, _ error: RabbitMQError) -> [SinkFailure] {
            (0..<batch.count).map { SinkFailure(index: $0, error: error) }
        }

        private func wait(for job: Job, _ start: () -> Void) async throws -> [SinkFailure] {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { submit(job, $0, start) }
            } onCancel: {
                giveUp(job.id, .failure(CancellationError()))
            }
        }

        private func submit(
            _ job: Job,
            _ continuation: CheckedContinuation<[SinkFailure], any Error>,
            _ start: () -> Void
        ) {
            let (refusal, isFirst) = state.withLock { state -> ((any Error)?, Bool) in
                guard !state.isClosed else { return (RabbitMQError(.closed, "the sink was closed"), false) }
                guard !state.cancelled.contains(job.id) else { return (CancellationError(), false) }
                state.jobs.append(job)
                state.waiting[job.id] = continuation
                defer { state.hasStarted = true }
                return (nil, !state.hasStarted)
            }
            if let refusal { return continuation.resume(throwing: refusal) }
            if isFirst { start() } else { wakeup.tell() }
        }

        /// Answers without the thread, which is freed if it is held up by this batch.
        private func giveUp(_ id: Int, _ result: Result) {
            let continuation = state.withLock { state in
                let continuation = state.waiting.removeValue(forKey: id)
                if continuation == nil { state.cancelled.insert(id) }
                state.jobs.removeAll { $0.id == id }
                if state.current == id { wakeup.interrupt() }
                return continuation
            }
            continuation?.resume(with: result)
        }

        /// Takes no more; returns once the connection is closed.
        func close() async {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    state.isClosed = true
                    guard state.hasStarted, !state.hasEnded else { return true }
                    state.closing.append(continuation)
                    return false
                }
                if isOver { continuation.resume() } else { wakeup.interrupt() }
            }
        }

        /// As ``close()``, without waiting.
        func abandon() {
            state.withLock { $0.isClosed = true }
            wakeup.interrupt()
        }

        // MARK: The thread's side

        var isClosed: Bool { state.withLock { $0.isClosed } }
        var hasJobs: Bool { state.withLock { !$0.jobs.isEmpty } }

        func takeJob() -> Job? {
            state.withLock { state in
                let job = state.jobs.popFirst()
                state.current = job?.id
                return job
            }
        }

        /// Whether anybody still waits for it.
        func isAwaited(_ id: Int) -> Bool { state.withLock { $0.waiting[id] != nil } }

        /// The thread is done with its batch, and answers whoever still waits for it.
        func answer(_ id: Int, _ result: Result) {
            let continuation = state.withLock { state in
                state.current = nil
                return state.waiting.removeValue(forKey: id)
            }
            continuation?.resume(with: result)
        }

        /// The thread has ended: whoever waits is told.
        func ended() {
            let (senders, closing) = state.withLock { state in
                state.hasEnded = true
                state.jobs = []
                defer { (state.waiting, state.closing) = ([:], []) }
                return (state.waiting.sorted { $0.key < $1.key }, state.closing)
            }
            for (_, sender) in senders { sender.resume(throwing: RabbitMQError(.closed, "the sink was closed")) }
            for continuation in closing { continuation.resume() }
        }
    }
#endif
