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

    extension RabbitMQError {
        fileprivate static func unasked(_ channel: UInt16, _ address: RabbitMQAddress) -> RabbitMQError {
            RabbitMQError(.protocolViolation, "a delivery by channel \(channel), which consumes nothing, \(address)")
        }
    }

    /// Questions about streams, by consuming from them: the protocol has no others. For connections on which nothing else
    /// happens, as with all questions; heartbeats are kept meanwhile.
    extension Wire {
        /// The first of their channels, one for each stream: behind that of other questions.
        private static let firstChannel: UInt16 = 2
        private static let prefetch: UInt16 = 1_000
        private static let tag = "ratchet-question"

        private struct Delivery {
            let channel: UInt16
            let offset: Int64
            let tag: Int64
        }

        /// The offsets that streams hold, in their order. Those of which nothing comes for `emptyAfter`, twice, are taken to
        /// be empty: all of them are waited for at once. Of each other one the last chunk is read to its end, and on while
        /// more comes at once, for the configuration's timeout at the most.
        func offsets(
            of streams: [String],
            emptyAfter: Duration,
            _ configuration: RabbitMQConfiguration
        ) throws(RabbitMQError) -> [Range<Int64>] {
            let firsts = try firstOffsets(of: streams, emptyAfter: emptyAfter)
            var logs: [Range<Int64>] = []
            for (stream, first) in zip(streams, firsts) {
                guard let first else {
                    logs.append(0..<0)
                    continue
                }
                let last = try lastOffset(of: stream, configuration)
                logs.append(first..<max(first, last) + 1)
            }
            return logs
        }

        private func firstOffsets(of streams: [String], emptyAfter: Duration) throws(RabbitMQError) -> [Int64?] {
            var found = [Int64?](repeating: nil, count: streams.count)
            let channels = streams.indices.map { Self.firstChannel + UInt16($0) }
            // Of what is no stream one message at the most is delivered for this, and goes back.
            for (stream, channel) in zip(streams, channels) { try ask(stream, from: .first, prefetch: 1, channel) }
            // A server that stands still says nothing of a stream that has messages, either: it answers in between.
            for _ in 0..<2 {
                for (index, channel) in channels.enumerated() where found[index] == nil {
                    try awaitAnswer(prefetch: 1, channel)
                }
                while found.contains(nil), let delivery = try nextDelivery(within: emptyAfter) {
                    guard let index = channels.firstIndex(of: delivery.channel) else {
                        throw broken(.unasked(delivery.channel, address))
                    }
                    // Others may come behind the first one.
                    found[index] = found[index] ?? delivery.offset
                }
            }
            try end(channels)
            return found
        }

        private func lastOffset(of stream: String, _ configuration: RabbitMQConfiguration)
            throws(RabbitMQError) -> Int64
        {
            let channel = Self.firstChannel
            let limit = configuration.time.monotonic() + configuration.timeout.nanoseconds
            try ask(stream, from: .last, prefetch: Self.prefetch, channel)
            guard var last = try nextDelivery(within: configuration.timeout) else {
                throw RabbitMQError(
                    .timedOut,
                    "stream '\(stream)' delivers nothing of its end: is it a batch that its producer has compressed?"
                )
            }
            var hasMore = true
            while hasMore, configuration.time.monotonic() < limit {
                hasMore = false
                // What was there before the answer to this comes before it: when nothing has come, that was all.
                try ack(last.tag, isMultiple: true, channel)
                try awaitAnswer(prefetch: Self.prefetch, channel)
                while let next = try nextDelivery(within: .zero) { (last, hasMore) = (next, true) }
            }
            guard last.channel == channel else { throw broken(.unasked(last.channel, address)) }
            try end([channel])
            return last.offset
        }

        /// One message of a stream; nil if the stream does not hold it. One that is `known` to be there, unless something else
        /// comes in its place, is waited for as long as for any answer: throws `timedOut` then.
        func message(
            at offset: Int64,
            of stream: String,
            isKnown: Bool,
            emptyAfter: Duration,
            _ configuration: RabbitMQConfiguration
        ) throws(RabbitMQError) -> DeliveryChunk? {
            let channel = Self.firstChannel
            try ask(stream, from: .number(offset), prefetch: 1, channel)
            var assembly = StreamAssembly(from: offset, maximumSize: configuration.maximumMessageSize)
            for _ in 0..<2 {
                try awaitAnswer(prefetch: 1, channel)
                while let frame = try read(within: isKnown ? configuration.timeout : emptyAfter) {
                    if let found = try take(frame, into: &assembly, channel) {
                        return found.firstOffset == offset ? found : nil
                    }
                }
                if isKnown {
                    throw RabbitMQError(.timedOut, "stream '\(stream)' does not deliver its message at \(offset)")
                }
            }
            return nil
        }

        private func take(
            _ frame: Frame,
            into assembly: inout StreamAssembly,
            _ channel: UInt16
        ) throws(RabbitMQError) -> DeliveryChunk? {
            switch frame {
            case .method(channel, .delivered(let tag, _)): try assembly.begin(tag: tag)
            case .header(channel, let size, let properties):
                try assembly.header(size: size, MessageProperties(properties))
            case .body(channel, let part): try assembly.body(part)
            default: break
            }
            if let tag = assembly.takeDropped() { try ack(Int64(clamping: tag), isMultiple: false, channel) }
            return assembly.isInParts ? nil : assembly.take()?.chunk
        }

        // MARK: A question

        /// Consumes from a stream on a channel of its own.
        private func ask(_ stream: String, from start: StreamStart, prefetch: UInt16, _ channel: UInt16)
            throws(RabbitMQError)
        {
            amqp_channel_open(connection, channel)
            try check("a channel")
            try awaitAnswer(prefetch: prefetch, channel)
            try consume(stream, from: start, as: Self.tag, channel)
        }

        /// Returns once the server has done all that it was sent before on the channel.
        private func awaitAnswer(prefetch: UInt16, _ channel: UInt16) throws(RabbitMQError) {
            amqp_basic_qos(connection, channel, 0, prefetch, 0)
            try check("a stream")
        }

        private func end(_ channels: [UInt16]) throws(RabbitMQError) {
            for channel in channels {
                let reply = amqp_channel_close(connection, channel, CInt(AMQP_REPLY_SUCCESS))
                if let error = Self.error(of: reply, "closing a channel") { throw broken(error) }
            }
            // What was on its way has come before the answer: it is not taken for another question's.
            while try read() != nil {}
        }

        private func check(_ what: String) throws(RabbitMQError) {
            guard let error = Self.error(of: amqp_get_rpc_reply(connection), "\(what), \(address)") else { return }
            throw broken(Self.passing(error))
        }

        /// What is no stream does not know the argument. A stream without a running replica on this node fails a condition, too,
        /// and has one later.
        private static func passing(_ error: RabbitMQError) -> RabbitMQError {
            guard error.code == .mismatch, !error.detail.contains(MessageProperties.streamOffsetHeader) else {
                return error
            }
            return RabbitMQError(.refused, error.detail)
        }

        /// The next message's offset and tag; its payload is dropped.
        private func nextDelivery(within limit: Duration) throws(RabbitMQError) -> Delivery? {
            var tag: Int64 = 0
            while let frame = try read(within: limit) {
                switch frame {
                case .method(_, .delivered(let delivered, _)): tag = Int64(clamping: delivered)
                case .header(let channel, _, let properties):
                    guard let offset = MessageProperties(properties).streamOffset, (0..<Int64.max).contains(offset)
                    else { throw broken(RabbitMQError(.mismatch, "it is a queue, not a stream, \(address)")) }
                    return Delivery(channel: channel, offset: offset, tag: tag)
                case .method(_, .channelClosed(let code, let text)):
                    throw broken(Self.passing(.reply(code, text, "a stream, \(address)")))
                default: break
                }
            }
            return nil
        }
    }
#endif
