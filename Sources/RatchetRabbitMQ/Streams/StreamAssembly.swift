#if RabbitMQ
    import Ratchet

    /// Puts the frames of a stream's consumer together to chunks of consecutive messages, and trusts no size and no offset
    /// that it has not checked. Pure.
    struct StreamAssembly {
        /// Messages, and the tag of the last of them: all up to it are acked when they are taken.
        struct Whole {
            let chunk: DeliveryChunk
            let tag: UInt64
        }

        private enum Expected: Equatable {
            case delivery
            case header
            case body(missing: Int, isKept: Bool)
        }

        /// What a message has that nobody has dated: the same each time that it is read.
        private static let noTimestamp: Int64 = -1

        private let maximumSize: Int
        private var expected = Expected.delivery
        private var lastTag: UInt64 = 0
        private var chunk: DeliveryChunk?
        private var chunkTag: UInt64 = 0
        /// Ended by offsets that were passed over.
        private var earlier: [Whole] = []
        private var dropped: UInt64?
        private var hasKept = false
        /// The offset that comes next, unless it is passed over.
        private(set) var nextOffset: Int64

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

        /// Its size and properties.
        mutating func header(size: UInt64, _ properties: MessageProperties) throws(RabbitMQError) {
            guard expected == .header, let offset = properties.streamOffset, (0..<Int64.max).contains(offset) else {
                throw RabbitMQError(.protocolViolation, "the header of no delivery, or of no stream's")
            }
            guard size <= UInt64(maximumSize) else {
                throw RabbitMQError(
                    .tooLarge,
                    "a message of \(size) bytes, at most \(maximumSize) are taken: raise maximumMessageSize"
                )
            }
            // A stream is stored in chunks, and may begin with one that has earlier messages.
            let isKept = offset >= nextOffset
            if isKept { keep(offset, properties, Int(size)) }
            advance(to: Int(size), isKept: isKept)
        }

        private mutating func keep(_ offset: Int64, _ properties: MessageProperties, _ size: Int) {
            let passed = nextOffset..<offset
            if !passed.isEmpty, let ended = chunk.take() { earlier.append(Whole(chunk: ended, tag: chunkTag)) }
            if chunk == nil {
                // Each segment of a stream's file begins with an offset for the server's own notes. Retention removes whole
                // segments, which have more than that one, and none that the server is reading.
                let isExplained = passed.isEmpty || (passed.count == 1 && hasKept)
                chunk = DeliveryChunk(firstOffset: offset, passed: passed, isExplained: isExplained)
            }
            hasKept = true
            chunk?.begin(
                properties,
                payload: size,
                timestamp: properties.timestamp ?? Self.noTimestamp,
                deliveryCount: 1
            )
            nextOffset = offset + 1
        }

        /// A part of its payload.
        mutating func body(_ part: UnsafeRawBufferPointer) throws(RabbitMQError) {
            guard case .body(let missing, let isKept) = expected, part.count <= missing else {
                throw RabbitMQError(.protocolViolation, "\(part.count) bytes of a payload that has not so many")
            }
            if isKept { chunk?.append(part) }
            advance(to: missing - part.count, isKept: isKept)
        }

        private mutating func advance(to missing: Int, isKept: Bool) {
            expected = missing > 0 ? .body(missing: missing, isKept: isKept) : .delivery
            guard missing == 0 else { return }
            if isKept { chunkTag = lastTag } else { dropped = lastTag }
        }

        /// Whether a message has begun and is not whole.
        var isInParts: Bool { expected != .delivery }

        /// Whether what is whole should be taken now, though more may follow.
        var isFull: Bool { chunk?.isFull ?? false }

        /// The oldest messages that are whole, of which none was passed over but before the first; nil for none.
        mutating func take() -> Whole? {
            if !earlier.isEmpty { return earlier.removeFirst() }
            if case .body(_, true) = expected { return nil }
            return chunk.take().map { Whole(chunk: $0, tag: chunkTag) }
        }

        /// The tag of a message before the first that is wanted: nobody takes it, so that it is acked at once.
        mutating func takeDropped() -> UInt64? { dropped.take() }
    }
#endif
