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
            var waiting: [CheckedContinuation<Void, Never>] = []
            var isStopping = false
        }

        private let client: Client
        private let listener: ProducerListener
        private let waker = Waker()
        private let state = Mutex(State())

        init(_ settings: ClientSettings, _ logger: Logger) throws(KafkaError) {
            listener = ProducerListener(ClientReports(logger))
            client = try Client(RD_KAFKA_PRODUCER, settings, listener)
        }

        func start() {
            Platform.startThread(name: "kafka-producer") { self.run() }
        }

        /// Ends the thread and the client once nothing is on its way; what is, fails by its delivery timeout at the latest.
        func stop() {
            state.withLock { $0.isStopping = true }
            waker.wake()
        }

        /// Why it can send nothing more.
        var fatalError: KafkaError? { client.fatalError }

        private func run() {
            guard let queue = rd_kafka_queue_get_main(client.handle) else {
                preconditionFailure("a producer has a queue")
            }
            waker.listen(to: queue)
            while !state.withLock({ $0.isStopping }) || rd_kafka_outq_len(client.handle) > 0 {
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
        }

        private func tellRoom() {
            let waiting = state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }

        /// Hands over messages of a batch and waits for their reports. Throws `CancellationError`; they may then be sent
        /// all the same.
        func send(_ indices: [Int], of batch: OutgoingBatch) async throws -> [(index: Int, code: rd_kafka_resp_err_t)] {
            let pending = PendingSend(batch, indices)
            while let refusal = pending.handOver(to: client.handle) {
                switch refusal {
                case RD_KAFKA_RESP_ERR__QUEUE_FULL: await room()
                default: pending.settleNext(refusal)
                }
            }
            return try await pending.outcome()
        }

        /// Waits until reports have come: what they are of has left the queue.
        private func room() async {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiting.append(continuation) }
            }
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
