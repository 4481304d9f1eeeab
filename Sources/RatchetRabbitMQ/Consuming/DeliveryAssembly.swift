#if RabbitMQ
    import Ratchet

    /// Consecutive deliveries of one channel, or messages of one stream, encoded as records in one buffer.
    struct DeliveryChunk: Sendable {
        /// No more is added to a chunk of so many bytes.
        static let enough = 1 << 20

        /// The tag of the first delivery, or the offset of the first message.
        let firstOffset: Int64
        /// Offsets right before the first message that its stream has not delivered; empty for none.
        let passed: Range<Int64>
        /// Whether it is known that there was nothing to deliver of them.
        var isExplained: Bool
        private(set) var bytes: [UInt8] = []
        private(set) var counts: [Int32] = []
        var count: Int { counts.count }
        var isFull: Bool { bytes.count >= Self.enough }

        var lastOffset: Int64 { firstOffset + Int64(count) - 1 }

        init(firstOffset: Int64, passed: Range<Int64> = 0..<0, isExplained: Bool = true) {
            self.firstOffset = firstOffset
            self.passed = passed
            self.isExplained = isExplained
        }

        /// Begins a record, of whose payload nothing is there yet.
        mutating func begin(_ properties: MessageProperties, payload: Int, timestamp: Int64, deliveryCount: Int32) {
            bytes.beginRecord(
                key: properties.key?.count,
                headers: properties.headers.count,
                payload: payload,
                timestamp: timestamp
            )
            if let key = properties.key { bytes.append(contentsOf: key) }
            bytes.append(contentsOf: properties.headers)
            counts.append(deliveryCount)
        }

        mutating func append(_ part: UnsafeRawBufferPointer) { bytes.append(contentsOf: part) }

        /// The records as a batch of a partition; a log counts no deliveries.
        func batch(
            of partition: TopicPartition,
            generation: Int64,
            countsDeliveries: Bool = true
        ) throws -> MessageBatch {
            try MessageBatch(
                partition: partition,
                generation: generation,
                // With what was passed over: it is as good as done when the first message is.
                startOffset: passed.isEmpty ? firstOffset : passed.lowerBound,
                count: count,
                byteCount: bytes.count,
                deliveryCounts: countsDeliveries ? counts : nil
            ) { target, offsets in
                bytes.withUnsafeBytes { target.copyMemory(from: $0) }
                for index in 0..<count { offsets[index] = firstOffset + Int64(index) }
            }
        }
    }

    /// Puts a channel's frames together to deliveries, and trusts no size that it has not checked. Pure.
    struct DeliveryAssembly {
        private enum Expected: Equatable {
            case delivery
            case header(isRedelivered: Bool)
            case body(missing: Int)
        }

        private let maximumSize: Int
        private var expected = Expected.delivery
        /// The tag that comes next: a channel counts its deliveries.
        private var nextTag: Int64 = 1
        private var chunk: DeliveryChunk?

        init(maximumSize: Int) { self.maximumSize = maximumSize }

        /// A delivery begins.
        mutating func begin(tag: UInt64, isRedelivered: Bool) throws(RabbitMQError) {
            guard expected == .delivery, tag == UInt64(nextTag) else {
                throw RabbitMQError(.protocolViolation, "delivery \(tag) where \(nextTag) or a part of it is due")
            }
            expected = .header(isRedelivered: isRedelivered)
        }

        /// Its size and properties; `now` is the time of a message that has none. True when it is whole.
        mutating func header(
            size: UInt64,
            _ properties: MessageProperties,
            now: @autoclosure () -> Int64
        ) throws(RabbitMQError) -> Bool {
            guard case .header(let isRedelivered) = expected else {
                throw RabbitMQError(.protocolViolation, "the header of no delivery")
            }
            let total = RecordLayout.fixedSize + properties.headers.count + (properties.key?.count ?? 0)
            guard size <= UInt64(maximumSize), total + Int(size) <= OutgoingBatch.maximumRecordSize + maximumSize else {
                throw RabbitMQError(
                    .tooLarge,
                    "a message of \(size) bytes, at most \(maximumSize) are taken: raise maximumMessageSize"
                )
            }
            if chunk == nil { chunk = DeliveryChunk(firstOffset: nextTag) }
            // The queue's own count comes with what is delivered again, elsewhere the header is its publisher's. What was
            // delivered before a crash may not have been counted.
            let count = isRedelivered ? max(properties.failedDeliveries.map { $0 &+ 1 } ?? 1, 2) : 1
            chunk?.begin(
                properties,
                payload: Int(size),
                timestamp: properties.timestamp ?? now(),
                deliveryCount: Int32(clamping: count)
            )
            return advance(to: Int(size))
        }

        /// A part of its payload. True when it is whole.
        mutating func body(_ part: UnsafeRawBufferPointer) throws(RabbitMQError) -> Bool {
            guard case .body(let missing) = expected, part.count <= missing else {
                throw RabbitMQError(.protocolViolation, "\(part.count) bytes of a payload that has not so many")
            }
            chunk?.append(part)
            return advance(to: missing - part.count)
        }

        private mutating func advance(to missing: Int) -> Bool {
            expected = missing > 0 ? .body(missing: missing) : .delivery
            if missing == 0 { nextTag += 1 }
            return missing == 0
        }

        /// Whether what is whole should be taken now, though more may follow.
        var isFull: Bool { chunk?.isFull ?? false }

        /// What is whole; nil for nothing, or while the payload of the last delivery is not.
        mutating func take() -> DeliveryChunk? {
            if case .body = expected { return nil }
            return chunk.take()
        }
    }
#endif
