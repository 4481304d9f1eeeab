#if Kafka
    internal import CRdkafka
    import Ratchet

    /// Makes batches of librdkafka's messages.
    struct RecordEncoder {
        private var scratch: [UInt8] = []

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
            var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
            scratch.appendRecord(
                key: message.pointee.key == nil || key.isEmpty ? nil : key,
                headers: Self.headers(of: message),
                payload: UnsafeRawBufferPointer(
                    start: message.pointee.payload,
                    count: message.pointee.payload == nil ? 0 : message.pointee.len
                ),
                timestamp: rd_kafka_message_timestamp(message, &kind)
            )
        }

        private static func headers(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> [Header] {
            var list: OpaquePointer?
            guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return [] }
            var headers: [Header] = []
            var (name, value, size) = (UnsafePointer<CChar>?.none, UnsafeRawPointer?.none, 0)
            while rd_kafka_header_get_all(list, headers.count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
                let bytes = UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size)
                headers.append(Header(name.map { String(cString: $0) } ?? "", Array(bytes)))
            }
            return headers
        }
    }
#endif
