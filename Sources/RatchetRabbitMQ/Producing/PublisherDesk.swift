#if RabbitMQ
    import DequeModule
    import Ratchet
    import Synchronization

    /// What a sink and its connection's thread hand each other.
    final class PublisherDesk: Sendable {
        /// A batch to be sent, and who waits for what becomes of it.
        struct Job {
            let id: Int
            let batch: OutgoingBatch
            let continuation: CheckedContinuation<[SinkFailure], any Error>
        }

        private struct State {
            var jobs = Deque<Job>()
            /// Nobody waits for them any more.
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

        /// Sends a batch. `start` starts the thread, the first time.
        func send(_ batch: OutgoingBatch, _ start: () -> Void) async throws -> [SinkFailure] {
            let id = state.withLock { state in
                state.nextID += 1
                return state.nextID
            }
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    submit(Job(id: id, batch: batch, continuation: continuation), start)
                }
            } onCancel: {
                state.withLock { state in
                    guard !state.hasEnded else { return }
                    state.cancelled.insert(id)
                }
                wakeup.tell()
            }
        }

        private func submit(_ job: Job, _ start: () -> Void) {
            let (isRefused, isFirst) = state.withLock { state in
                guard !state.isClosed else { return (true, false) }
                state.jobs.append(job)
                defer { state.hasStarted = true }
                return (false, !state.hasStarted)
            }
            if isRefused {
                return job.continuation.resume(throwing: RabbitMQError(.closed, "the sink was closed"))
            }
            if isFirst { start() } else { wakeup.tell() }
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
                if isOver { continuation.resume() } else { wakeup.tell() }
            }
        }

        /// As ``close()``, without waiting.
        func abandon() {
            state.withLock { $0.isClosed = true }
            wakeup.tell()
        }

        // MARK: The thread's side

        var isClosed: Bool { state.withLock { $0.isClosed } }
        var hasJobs: Bool { state.withLock { !$0.jobs.isEmpty } }
        func takeJob() -> Job? { state.withLock { $0.jobs.popFirst() } }

        /// Whether nobody waits for it any more.
        func isCancelled(_ id: Int) -> Bool { state.withLock { $0.cancelled.contains(id) } }

        /// Its caller has been answered.
        func forget(_ id: Int) { state.withLock { _ = $0.cancelled.remove(id) } }

        /// The thread has ended: whoever waits is told.
        func ended() {
            let (jobs, closing) = state.withLock { state in
                state.hasEnded = true
                state.cancelled = []
                defer { (state.jobs, state.closing) = ([], []) }
                return (state.jobs, state.closing)
            }
            for job in jobs { job.continuation.resume(throwing: RabbitMQError(.closed, "the sink was closed")) }
            for continuation in closing { continuation.resume() }
        }
    }
#endif
