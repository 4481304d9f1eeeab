#if RabbitMQ
    import CRabbitMQ

    /// One frame from the server. Pointers in it are valid until the next one is read.
    enum Frame {
        case method(channel: UInt16, Method)
        /// The beginning of a message: its size and properties.
        case header(channel: UInt16, size: UInt64, UnsafePointer<amqp_basic_properties_t>)
        /// A part of a message.
        case body(channel: UInt16, UnsafeRawBufferPointer)
    }

    /// What the server says, as far as sources and sinks listen to it.
    enum Method: Equatable {
        case channelOpened
        case channelClosed(code: Int, text: String)
        case connectionClosed(code: Int, text: String)
        /// Our own closing of a channel is done.
        case channelLeft
        case queueFound
        case exchangeFound
        case prefetchSet
        case consuming
        /// The server has ended a consumer: its queue is gone, or moves to another node.
        case cancelled
        case delivered(tag: UInt64, isRedelivered: Bool)
        case returned(Return)
        case confirmed(tag: UInt64, isMultiple: Bool)
        case nacked(tag: UInt64, isMultiple: Bool)
        case confirming
        case transactional
        case committed
        /// The server takes no messages: its memory or disk is full.
        case blocked(String)
        case unblocked
        case other(UInt32)
    }

    /// A message that no queue took.
    struct Return: Equatable {
        let code: Int
        let text: String
        let exchange: String
        let routingKey: String
    }

    extension Wire {
        /// The next frame, nil when none has come within `limit`, or, without one, when none is there. Keeps the heartbeats of
        /// both sides.
        func read(within limit: Duration? = nil) throws(RabbitMQError) -> Frame? {
            amqp_maybe_release_buffers(connection)
            var frame = amqp_frame_t()
            var time = limit.map { timeval($0) } ?? timeval()
            let status = amqp_simple_wait_frame_noblock(connection, &frame, &time)
            if status == AMQP_STATUS_TIMEOUT.rawValue { return nil }
            guard status == AMQP_STATUS_OK.rawValue else { throw broken(status, "reading") }
            let read: Frame
            do throws(RabbitMQError) { read = try Frame(frame) } catch {
                throw broken(RabbitMQError(error.code, "\(error.detail), \(address)"))
            }
            guard case .method(_, .connectionClosed(let code, let text)) = read else { return read }
            try send(amqp_connection_close_ok_t(), AMQP_CONNECTION_CLOSE_OK_METHOD, 0)
            throw broken(.reply(code, text, "the server has closed the connection, \(address)"))
        }
    }

    extension Frame {
        /// What the library has read. Throws ``RabbitMQError`` with `protocolViolation`.
        init(_ frame: amqp_frame_t) throws(RabbitMQError) {
            switch CInt(frame.frame_type) {
            case AMQP_FRAME_METHOD: self = .method(channel: frame.channel, try Method(frame.payload.method))
            case AMQP_FRAME_HEADER:
                guard let properties = frame.payload.properties.decoded, frame.payload.properties.class_id == 60 else {
                    throw RabbitMQError(.protocolViolation, "the header of no message")
                }
                self = .header(
                    channel: frame.channel,
                    size: frame.payload.properties.body_size,
                    UnsafePointer(properties.assumingMemoryBound(to: amqp_basic_properties_t.self))
                )
            case AMQP_FRAME_BODY:
                let part = frame.payload.body_fragment
                self = .body(channel: frame.channel, UnsafeRawBufferPointer(start: part.bytes, count: part.len))
            default: throw RabbitMQError(.protocolViolation, "a frame of type \(frame.frame_type)")
            }
        }
    }

    extension Method {
        fileprivate init(_ method: amqp_method_t) throws(RabbitMQError) {
            func decoded<T>(_ type: T.Type) throws(RabbitMQError) -> T {
                guard let decoded = method.decoded else {
                    throw RabbitMQError(.protocolViolation, "a method without its arguments")
                }
                return decoded.assumingMemoryBound(to: type).pointee
            }
            switch method.id {
            case AMQP_BASIC_DELIVER_METHOD:
                let delivery = try decoded(amqp_basic_deliver_t.self)
                self = .delivered(tag: delivery.delivery_tag, isRedelivered: delivery.redelivered != 0)
            case AMQP_BASIC_ACK_METHOD:
                let ack = try decoded(amqp_basic_ack_t.self)
                self = .confirmed(tag: ack.delivery_tag, isMultiple: ack.multiple != 0)
            case AMQP_BASIC_NACK_METHOD:
                let nack = try decoded(amqp_basic_nack_t.self)
                self = .nacked(tag: nack.delivery_tag, isMultiple: nack.multiple != 0)
            case AMQP_BASIC_RETURN_METHOD:
                let found = try decoded(amqp_basic_return_t.self)
                self = .returned(
                    Return(
                        code: Int(found.reply_code),
                        text: String(found.reply_text),
                        exchange: String(found.exchange),
                        routingKey: String(found.routing_key)
                    )
                )
            case AMQP_CHANNEL_CLOSE_METHOD:
                let close = try decoded(amqp_channel_close_t.self)
                self = .channelClosed(code: Int(close.reply_code), text: String(close.reply_text))
            case AMQP_CONNECTION_CLOSE_METHOD:
                let close = try decoded(amqp_connection_close_t.self)
                self = .connectionClosed(code: Int(close.reply_code), text: String(close.reply_text))
            case AMQP_CONNECTION_BLOCKED_METHOD:
                self = .blocked(String(try decoded(amqp_connection_blocked_t.self).reason))
            default: self = Self.plain[method.id] ?? .other(method.id)
            }
        }

        /// Methods that say no more than their name.
        private static let plain: [amqp_method_number_t: Method] = [
            AMQP_CHANNEL_OPEN_OK_METHOD: .channelOpened,
            AMQP_CHANNEL_CLOSE_OK_METHOD: .channelLeft,
            AMQP_QUEUE_DECLARE_OK_METHOD: .queueFound,
            AMQP_EXCHANGE_DECLARE_OK_METHOD: .exchangeFound,
            AMQP_BASIC_QOS_OK_METHOD: .prefetchSet,
            AMQP_BASIC_CONSUME_OK_METHOD: .consuming,
            AMQP_BASIC_CANCEL_METHOD: .cancelled,
            AMQP_CONFIRM_SELECT_OK_METHOD: .confirming,
            AMQP_TX_SELECT_OK_METHOD: .transactional,
            AMQP_TX_COMMIT_OK_METHOD: .committed,
            AMQP_CONNECTION_UNBLOCKED_METHOD: .unblocked,
        ]
    }

    extension String {
        /// The library's bytes as text, with invalid UTF-8 replaced.
        init(_ bytes: amqp_bytes_t) {
            self.init(decoding: UnsafeRawBufferPointer(bytes), as: UTF8.self)
        }

        /// Calls `body` with the text as the library takes it; valid within the call only.
        func withBytes<R, E: Error>(_ body: (amqp_bytes_t) throws(E) -> R) throws(E) -> R {
            var utf8 = Array(utf8)
            // An array has bytes to point to, also when it is empty.
            utf8.append(0)
            var result: Result<R, E>?
            utf8.withUnsafeMutableBytes { bytes in
                let text = amqp_bytes_t(len: bytes.count - 1, bytes: bytes.baseAddress)
                do throws(E) { result = .success(try body(text)) } catch { result = .failure(error) }
            }
            guard let result else { preconditionFailure("a closure has not run") }
            return try result.get()
        }
    }

    extension UnsafeRawBufferPointer {
        init(_ bytes: amqp_bytes_t) { self.init(start: bytes.bytes, count: bytes.bytes == nil ? 0 : bytes.len) }
    }
#endif
