#if RabbitMQ
    import CRabbitMQ
    import Ratchet

    /// Where a consumer of a stream begins.
    enum StreamStart: Equatable {
        case first
        /// With the last chunk, which may have several messages.
        case last
        case number(Int64)

        var value: FieldTable.Value {
            switch self {
            case .first: .text("first")
            case .last: .text("last")
            case .number(let offset): .number(offset)
            }
        }
    }

    /// Questions about streams, by consuming from them: the protocol has no others. For connections on which nothing else
    /// happens, as with all questions.
    extension Wire {
        private static let questionChannel: UInt16 = 1_000
        private static let questionPrefetch: UInt16 = 1_000
        private static let questionTag = "ratchet-question"

        /// The offsets that a stream holds. One of which nothing comes within `emptyAfter` is taken to be empty.
        func offsets(of stream: String, emptyAfter: Duration) throws(RabbitMQError) -> Range<Int64> {
            guard let first = try firstOffset(of: stream, emptyAfter: emptyAfter) else { return 0..<0 }
            let last = try lastOffset(of: stream, emptyAfter: emptyAfter)
            return first..<max(first, last ?? first) + 1
        }

        private func firstOffset(of stream: String, emptyAfter: Duration) throws(RabbitMQError) -> Int64? {
            try askStream(stream, from: .first) { () throws(RabbitMQError) -> Int64? in
                try nextDelivery(within: emptyAfter)?.offset
            }
        }

        private func lastOffset(of stream: String, emptyAfter: Duration) throws(RabbitMQError) -> Int64? {
            try askStream(stream, from: .last) { () throws(RabbitMQError) -> Int64? in
                guard var last = try nextDelivery(within: emptyAfter) else { return nil }
                while true {
                    // What was there before the answer to this comes before it: when nothing has come, that was all.
                    try ack(last.tag, isMultiple: true, Self.questionChannel)
                    amqp_basic_qos(connection, Self.questionChannel, 0, Self.questionPrefetch, 0)
                    try check("a stream's end")
                    var hasCome = false
                    while let next = try nextDelivery(within: .zero) { (last, hasCome) = (next, true) }
                    if !hasCome { return last.offset }
                }
            }
        }

        /// One message of a stream, nil if it does not hold it; waits for `emptyAfter` at the most.
        func message(
            at offset: Int64,
            of stream: String,
            emptyAfter: Duration,
            maximumSize: Int
        ) throws(RabbitMQError) -> DeliveryChunk? {
            try askStream(stream, from: .number(offset)) { () throws(RabbitMQError) -> DeliveryChunk? in
                var assembly = StreamAssembly(from: offset, maximumSize: maximumSize)
                while let frame = try read(within: emptyAfter) {
                    switch frame {
                    case .method(Self.questionChannel, .delivered(let tag, _)): try assembly.begin(tag: tag)
                    case .header(Self.questionChannel, let size, let properties):
                        let step = try assembly.header(size: size, MessageProperties(properties), now: 0)
                        if step != .goesOn { return nil }
                    case .body(Self.questionChannel, let part): try assembly.body(part)
                    default: break
                    }
                    if let chunk = assembly.take() { return chunk }
                }
                return nil
            }
        }

        /// Consumes from a stream on a channel of its own while `body` listens.
        private func askStream<R>(
            _ stream: String,
            from start: StreamStart,
            _ body: () throws(RabbitMQError) -> R
        ) throws(RabbitMQError) -> R {
            amqp_channel_open(connection, Self.questionChannel)
            try check("a channel")
            amqp_basic_qos(connection, Self.questionChannel, 0, Self.questionPrefetch, 0)
            try check("a prefetch")
            try consume(stream, from: start, as: Self.questionTag, Self.questionChannel)
            let result = try body()
            // What is on its way comes before the answer, and is dropped.
            let reply = amqp_channel_close(connection, Self.questionChannel, CInt(AMQP_REPLY_SUCCESS))
            if let error = Self.error(of: reply, "closing a channel") { throw broken(error) }
            while try read() != nil {}
            return result
        }

        private func check(_ what: String) throws(RabbitMQError) {
            if let error = Self.error(of: amqp_get_rpc_reply(connection), what) { throw broken(error) }
        }

        /// The next message's offset and tag; its payload is dropped.
        private func nextDelivery(within limit: Duration) throws(RabbitMQError) -> (offset: Int64, tag: Int64)? {
            var tag: Int64 = 0
            while let frame = try read(within: limit) {
                switch frame {
                case .method(Self.questionChannel, .delivered(let delivered, _)): tag = Int64(clamping: delivered)
                case .header(Self.questionChannel, _, let properties):
                    guard let offset = MessageProperties(properties).streamOffset else {
                        throw broken(RabbitMQError(.mismatch, "it is a queue, not a stream, \(address)"))
                    }
                    return (offset, tag)
                case .method(Self.questionChannel, .channelClosed(let code, let text)):
                    throw broken(.reply(code, text, "a stream, \(address)"))
                default: break
                }
            }
            return nil
        }
    }
#endif
