#if Kafka
    import DequeModule
    import LMDB
    import Synchronization

    /// A thread that runs one job after the other: for calls of librdkafka that block, as no task may.
    final class JobThread: Sendable {
        typealias Job = @Sendable () -> Void

        private final class Queue: Sendable {
            struct State {
                var jobs = Deque<Job>()
                var isFinishing = false
            }

            let state = Mutex(State())
            let waker = Waker()

            func run() {
                while true {
                    let (job, isOver) = state.withLock { ($0.jobs.popFirst(), $0.isFinishing) }
                    if let job {
                        job()
                    } else if isOver {
                        return
                    } else {
                        waker.wait(milliseconds: -1)
                    }
                }
            }
        }

        private let queue = Queue()

        /// Starts the thread; `end` is run behind the last job.
        init(name: String, end: @escaping Job) {
            let queue = queue
            Platform.startThread(name: name) {
                queue.run()
                end()
            }
        }

        deinit { finish() }

        /// Takes no more jobs; those that wait are run.
        func finish() {
            queue.state.withLock { $0.isFinishing = true }
            queue.waker.wake()
        }

        /// Runs a job later; false when no more are taken.
        @discardableResult
        func submit(_ job: @escaping Job) -> Bool {
            let isTaken = queue.state.withLock { state in
                if !state.isFinishing { state.jobs.append(job) }
                return !state.isFinishing
            }
            queue.waker.wake()
            return isTaken
        }

        /// Runs a closure and returns what it does. Who is cancelled waits all the same: what blocks has limits of its own.
        func run<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
            try await withCheckedThrowingContinuation { continuation in
                let isTaken = submit { continuation.resume(with: Result { try body() }) }
                if !isTaken { continuation.resume(throwing: KafkaError(.closed, "the client was closed")) }
            }
        }
    }
#endif
