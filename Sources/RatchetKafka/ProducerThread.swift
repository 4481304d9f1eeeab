#if Kafka
    internal import CRdkafka
    import LMDB
    import Logging
    import Ratchet
    import Synchronization

    /// A producer of librdkafka and the thread that hears its delivery reports.
    final class ProducerThread: @unchecked Sendable {
        private struct State {
            /// Who waits for room in librdkafka's queue.
            var waiting: [UInt: CheckedContinuation<Void, Never>] = [:]
            var next: UInt = 0
            /// How often there was room.
            var rounds: UInt = 0
            /// How many hand messages over: the client must outlive that.
            var senders = 0
            var isStopping = false
            var isOver = false
        }

        private let client: Client
        private let listener: ProducerListener
        private let waker = Waker()
        private let state = Mutex(State())
        let ended = Latch()
        /// How many bytes of payload librdkafka's queue holds: a larger one never has room.
        private let queueBytes: Int

        init(_ settings: ClientSettings, _ logger: Logger) throws(KafkaError) {
            listener = ProducerListener(ClientReports(logger))
            client = try Client(RD_KAFKA_PRODUCER, settings, listener)
            queueBytes = client.setting("queue.buffering.max.kbytes").flatMap { Int($0) }.map { $0 * 1_024 } ?? .max
        }

        func start() {
            Platform.startThread(name: "kafka-producer") { self.run() }
        }

        /// Ends the thread and the client once nothing is on its way; what is, fails by its delivery timeout at the latest.
        func stop() {
            state.withLock { $0.isStopping = true }
            waker.wake()
        }

        /// How often there was room in librdkafka's queue.
        var rounds: UInt { state.withLock { $0.rounds } }

        /// Why it can send nothing more.
        var fatalError: KafkaError? { client.fatalError }

        private func run() {
            guard let queue = rd_kafka_queue_get_main(client.handle) else {
                preconditionFailure("a producer has a queue")
            }
            waker.listen(to: queue)
            while !isDone {
                waker.wait(milliseconds: 1_000)
                if rd_kafka_poll(client.handle, 0) > 0 { tellRoom() }
                // What it holds is sent no more: that it is over is told at once.
                if client.fatalError != nil {
                    rd_kafka_purge(client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
                }
            }
            rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
            rd_kafka_queue_destroy(queue)
            client.destroy()
            ended.open()
        }

        /// Whether nothing is on its way any more, nor will be.
        private var isDone: Bool {
            state.withLock { state in
                state.isOver = state.isStopping && state.senders == 0 && rd_kafka_outq_len(client.handle) == 0
                return state.isOver
            }
        }

        private func tellRoom() {
            let waiting = state.withLock { state in
                state.rounds += 1
                defer { state.waiting = [:] }
                return state.waiting
            }
            // Any order: each tries again.
            for continuation in waiting.values { continuation.resume() }
        }

        /// Hands over messages of a batch and waits for their reports. Throws `CancellationError`; they may then be sent
        /// all the same.
        func send(_ indices: [Int], of batch: OutgoingBatch) async throws -> PendingSend.Outcome {
            let pending = PendingSend(batch, indices)
            try await handOver(pending)
            return try await pending.outcome()
        }

        private func handOver(_ pending: PendingSend) async throws {
            let isOver = state.withLock { state in
                if !state.isOver { state.senders += 1 }
                return state.isOver
            }
            // Another producer has taken its place.
            guard !isOver else { return pending.settleRest(RD_KAFKA_RESP_ERR__PURGE_QUEUE) }
            defer {
                state.withLock { $0.senders -= 1 }
                waker.wake()
            }
            while true {
                let rounds = rounds
                guard let refusal = pending.handOver(to: client.handle) else { return }
                switch refusal {
                case RD_KAFKA_RESP_ERR__QUEUE_FULL where pending.nextSize > queueBytes:
                    pending.settleNext(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
                case RD_KAFKA_RESP_ERR__QUEUE_FULL: try await room(after: rounds)
                default: pending.settleNext(refusal)
                }
            }
        }

        /// Waits until there has been room once more than so often: it may have come between the refusal of a message and
        /// the wait. Throws `CancellationError`.
        func room(after rounds: UInt) async throws {
            let id = state.withLock { state in
                state.next += 1
                return state.next
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isOver = state.withLock { state in
                        if state.rounds != rounds || Task.isCancelled { return true }
                        state.waiting[id] = continuation
                        return false
                    }
                    if isOver { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
            }
            try Task.checkCancellation()
        }
    }

    /// Hears what a producer has to tell.
    private final class ProducerListener: ClientListener {
        private let reports: ClientReports

        init(_ reports: ClientReports) { self.reports = reports }

        func log(_ level: Int32, _ facility: String, _ text: String) { reports.log(level, facility, text) }

        func failed(_ code: rd_kafka_resp_err_t, _ reason: String) { reports.failed(code, reason) }

        func delivered(_ message: UnsafePointer<rd_kafka_message_t>) {
            PendingSend.delivered(message.pointee._private, message.pointee.err)
        }
    }
#endif
