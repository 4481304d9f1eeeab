#if Kafka
    internal import CRdkafka
    import Ratchet

    /// Makes batches of librdkafka's messages.
    struct RecordEncoder {
        private var scratch: [UInt8] = []
        /// Those of one message.
        private var headers: [UInt8] = []

        init() {}

        /// A batch of messages of one partition, in rising order from `start` on; at least one.
        mutating func batch(
            _ messages: [UnsafeMutablePointer<rd_kafka_message_t>],
            of partition: TopicPartition,
            generation: Int64,
            from start: Int64
        ) throws -> MessageBatch {
            scratch.removeAll(keepingCapacity: true)
            for message in messages { append(message) }
            let encoded = scratch
            return try MessageBatch(
                partition: partition,
                generation: generation,
                startOffset: start,
                count: messages.count,
                byteCount: encoded.count
            ) { bytes, offsets in
                encoded.withUnsafeBytes { bytes.copyMemory(from: $0) }
                for (index, message) in messages.enumerated() { offsets[index] = message.pointee.offset }
            }
        }

        /// A key of no bytes counts as none, a value that is null as an empty one.
        private mutating func append(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
            let key = UnsafeRawBufferPointer(start: message.pointee.key, count: message.pointee.key_len)
            let hasKey = message.pointee.key != nil && !key.isEmpty
            let payload = UnsafeRawBufferPointer(
                start: message.pointee.payload,
                count: message.pointee.payload == nil ? 0 : message.pointee.len
            )
            var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
            readHeaders(of: message)
            scratch.beginRecord(
                key: hasKey ? key.count : nil,
                headers: headers.count,
                payload: payload.count,
                timestamp: rd_kafka_message_timestamp(message, &kind)
            )
            if hasKey { scratch.append(contentsOf: key) }
            scratch.append(contentsOf: headers)
            scratch.append(contentsOf: payload)
        }

        /// As a record has them, without a detour over strings: their memory would be most of this thread's own work.
        private mutating func readHeaders(of message: UnsafeMutablePointer<rd_kafka_message_t>) {
            headers.removeAll(keepingCapacity: true)
            var list: OpaquePointer?
            guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return }
            var (count, name, value, size) = (0, UnsafePointer<CChar>?.none, UnsafeRawPointer?.none, 0)
            while rd_kafka_header_get_all(list, count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
                headers.appendHeader(
                    UnsafeRawBufferPointer(start: name, count: name.map { strlen($0) } ?? 0),
                    UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size)
                )
                count += 1
            }
        }
    }
#endif
