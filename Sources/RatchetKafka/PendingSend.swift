#if Kafka
    internal import CRdkafka
    import Ratchet
    import Synchronization

    /// Messages of one batch on their way to Kafka, until each is reported.
    final class PendingSend: @unchecked Sendable {
        typealias Outcome = [(index: Int, code: rd_kafka_resp_err_t)]

        /// What a report finds its message by.
        private struct Slot {
            let send: Unmanaged<PendingSend>
            let place: Int
        }

        private struct State {
            var codes: [rd_kafka_resp_err_t]
            /// Those that were handed over or refused; only the sender moves it.
            var next = 0
            var settled = 0
            var isCancelled = false
            var waiter: CheckedContinuation<Bool, Never>?

            var isDone: Bool { settled == codes.count }
        }

        private let batch: OutgoingBatch
        private let indices: [Int]
        private let topics: [[CChar]]
        private let slots: UnsafeMutableBufferPointer<Slot>
        private let state: Mutex<State>
        /// The keys of which a message was not taken; only the sender touches it.
        private var refused: Set<FailedKey> = []

        init(_ batch: OutgoingBatch, _ indices: [Int]) {
            self.batch = batch
            self.indices = indices
            topics = batch.topics.map { Array($0.utf8CString) }
            slots = .allocate(capacity: indices.count)
            state = Mutex(State(codes: Array(repeating: RD_KAFKA_RESP_ERR_NO_ERROR, count: indices.count)))
            for place in indices.indices {
                slots.initializeElement(at: place, to: Slot(send: .passUnretained(self), place: place))
            }
        }

        deinit { slots.deallocate() }

        /// Hands over what was not yet. Returns why the next message was not taken, nil when all are handed over.
        func handOver(to client: OpaquePointer) -> rd_kafka_resp_err_t? {
            let start = state.withLock { $0.next }
            var place = start
            var refusal: rd_kafka_resp_err_t?
            batch.bytes.withUnsafeBytes { bytes in
                while place < indices.count, refusal == nil {
                    let message = batch.parts(at: indices[place], in: bytes)
                    if !refused.isEmpty, let key = FailedKey(message), refused.contains(key) {
                        // It would come out of order.
                        settle(place, RD_KAFKA_RESP_ERR__PURGE_QUEUE)
                        place += 1
                        continue
                    }
                    refusal = handOver(message, to: client, place)
                    if refusal == nil { place += 1 }
                }
            }
            state.withLock { $0.next = place }
            return refusal
        }

        private func handOver(_ message: OutgoingParts, to client: OpaquePointer, _ place: Int) -> rd_kafka_resp_err_t?
        {
            guard let slots = slots.baseAddress else { return nil }
            // Given up with the report.
            _ = slots[place].send.retain()
            let code = produce(message, client, slots + place)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return nil }
            slots[place].send.release()
            return code
        }

        private func produce(
            _ message: OutgoingParts,
            _ client: OpaquePointer,
            _ slot: UnsafeMutablePointer<Slot>
        ) -> rd_kafka_resp_err_t {
            let headers = Self.headers(message.headers)
            // In a compacted topic a message without a payload deletes its key: that is null, not empty.
            let isTombstone = message.payload.isEmpty && message.key != nil
            let code = crdkafka_produce(
                client,
                topics[Int(message.topic)],
                message.partition,
                message.key?.baseAddress,
                message.key?.count ?? 0,
                isTombstone ? nil : message.payload.baseAddress,
                message.payload.count,
                max(message.timestamp, 0),
                headers,
                slot
            )
            if code != RD_KAFKA_RESP_ERR_NO_ERROR, let headers { rd_kafka_headers_destroy(headers) }
            return code
        }

        private static func headers(_ encoded: UnsafeRawBufferPointer) -> OpaquePointer? {
            guard !encoded.isEmpty, let headers = rd_kafka_headers_new(8) else { return nil }
            RecordLayout.forEachHeader(in: encoded) { name, value in
                let text = name.assumingMemoryBound(to: CChar.self).baseAddress
                // A value of no bytes is empty, not null.
                let bytes = value.baseAddress ?? encoded.baseAddress
                return rd_kafka_header_add(headers, text, name.count, bytes, value.count) == RD_KAFKA_RESP_ERR_NO_ERROR
            }
            return headers
        }

        /// The next message is not taken, and will not be; nor are those of its key behind it.
        func settleNext(_ code: rd_kafka_resp_err_t) {
            let place = state.withLock { state in
                defer { state.next += 1 }
                return state.next
            }
            let key = batch.bytes.withUnsafeBytes { FailedKey(batch.parts(at: indices[place], in: $0)) }
            if let key { refused.insert(key) }
            settle(place, code)
        }

        /// How many bytes of payload the next message has.
        var nextSize: Int {
            let place = state.withLock { $0.next }
            return batch.bytes.withUnsafeBytes { batch.parts(at: indices[place], in: $0).payload.count }
        }

        /// None of the messages that were not handed over will be.
        func settleRest(_ code: rd_kafka_resp_err_t) {
            let places = state.withLock { state in
                defer { state.next = indices.count }
                return state.next..<indices.count
            }
            for place in places { settle(place, code) }
        }

        /// A message was reported; called once for each that was handed over.
        static func delivered(_ slot: UnsafeMutableRawPointer?, _ code: rd_kafka_resp_err_t) {
            guard let slot = slot?.assumingMemoryBound(to: Slot.self) else { return }
            let (reference, place) = (slot.pointee.send, slot.pointee.place)
            reference.takeUnretainedValue().settle(place, code)
            reference.release()
        }

        private func settle(_ place: Int, _ code: rd_kafka_resp_err_t) {
            let waiter = state.withLock { state in
                state.codes[place] = code
                state.settled += 1
                return state.isDone ? state.waiter.take() : nil
            }
            waiter?.resume(returning: true)
        }

        /// Waits until every message is reported. Throws `CancellationError`.
        func outcome() async throws -> Outcome {
            let isDone = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isDone = state.withLock { state -> Bool? in
                        if state.isDone { return true }
                        if state.isCancelled { return false }
                        state.waiter = continuation
                        return nil
                    }
                    if let isDone { continuation.resume(returning: isDone) }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    state.isCancelled = true
                    return state.waiter.take()
                }
                waiter?.resume(returning: false)
            }
            guard isDone else { throw CancellationError() }
            return Array(zip(indices, state.withLock { $0.codes }))
        }
    }
#endif
