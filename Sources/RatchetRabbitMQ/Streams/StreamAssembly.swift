#if RabbitMQ
    import Ratchet

    /// Puts the frames of a stream's consumer together to consecutive messages. Pure.
    struct StreamAssembly {
        /// What a delivery's header comes to.
        enum Step: Equatable {
            /// It belongs to what is wanted.
            case goesOn
            /// The stream holds nothing before this offset any more, and something else is due.
            case gap(Int64)
        }

        private enum Expected: Equatable {
            case delivery
            case header
            case body(missing: Int, isKept: Bool)
        }

        private let maximumSize: Int
        private var expected = Expected.delivery
        private var chunk: DeliveryChunk?
        /// The offset that comes next.
        private(set) var nextOffset: Int64
        /// The tag of the last delivery: all up to it are acked when it is taken.
        private(set) var lastTag: UInt64 = 0

        init(from offset: Int64, maximumSize: Int) {
            nextOffset = offset
            self.maximumSize = maximumSize
        }

        /// A delivery begins.
        mutating func begin(tag: UInt64) throws(RabbitMQError) {
            guard expected == .delivery, tag == lastTag + 1 else {
                throw RabbitMQError(.protocolViolation, "delivery \(tag) where \(lastTag + 1) or a part of it is due")
            }
            lastTag = tag
            expected = .header
        }

        /// Its size and properties; `now` is the time of a message that has none.
        mutating func header(size: UInt64, _ properties: MessageProperties, now: Int64) throws(RabbitMQError) -> Step {
            guard expected == .header, let offset = properties.streamOffset else {
                throw RabbitMQError(.protocolViolation, "the header of no delivery, or of no stream's")
            }
            guard size <= UInt64(maximumSize) else {
                throw RabbitMQError(
                    .tooLarge,
                    "a message of \(size) bytes, at most \(maximumSize) are taken: raise maximumMessageSize"
                )
            }
            guard offset <= nextOffset else { return .gap(offset) }
            // A stream is stored in chunks, and may begin with one that has earlier messages.
            let isKept = offset == nextOffset
            if isKept {
                if chunk == nil { chunk = DeliveryChunk(firstTag: offset) }
                let timestamp = properties.timestamp ?? now
                chunk?.begin(properties, payload: Int(size), timestamp: timestamp, deliveryCount: 1)
                nextOffset += 1
            }
            expected = size > 0 ? .body(missing: Int(size), isKept: isKept) : .delivery
            return .goesOn
        }

        /// A part of its payload.
        mutating func body(_ part: UnsafeRawBufferPointer) throws(RabbitMQError) {
            guard case .body(let missing, let isKept) = expected, part.count <= missing else {
                throw RabbitMQError(.protocolViolation, "\(part.count) bytes of a payload that has not so many")
            }
            if isKept { chunk?.append(part) }
            expected = part.count < missing ? .body(missing: missing - part.count, isKept: isKept) : .delivery
        }

        /// Whether a message has begun and is not whole.
        var isInParts: Bool { expected != .delivery }

        /// Whether what is whole should be taken now, though more may follow.
        var isFull: Bool { chunk?.isFull ?? false }

        /// What is whole; nil for nothing, or while the last message is not.
        mutating func take() -> DeliveryChunk? {
            isInParts ? nil : chunk.take()
        }
    }
#endif
