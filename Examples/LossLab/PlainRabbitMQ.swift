#if RabbitMQ
    import CRabbitMQ

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #endif

    /// A client of RabbitMQ as it is often written: by the C library alone, with no more caution than it is asked for.
    final class PlainRabbitMQ {
        /// What became of messages that were published, by their numbers from 1, as the server tells it.
        struct Answers {
            var confirmed: [Int] = []
            var refused: [Int] = []
            /// Messages that no queue took, by what was in them.
            var returned: [String] = []
            var count: Int { confirmed.count + refused.count }
        }

        /// A message that was got, and how it is acked.
        struct Delivery {
            let id: String
            let tag: UInt64
        }

        private static let channel: UInt16 = 1
        private let connection: amqp_connection_state_t
        /// Whether the server has still to answer each message that was published.
        private var unanswered: [Bool] = []
        var publishedCount: Int { unanswered.count }

        /// Connects by `amqp://user:password@host:port/vhost`.
        init(_ url: String) throws {
            connection = amqp_new_connection()
            var parts = amqp_connection_info()
            amqp_default_connection_info(&parts)
            // It is taken to pieces in place, and the pieces point into it.
            guard let text = strdup(url), amqp_parse_url(text, &parts) == AMQP_STATUS_OK.rawValue, parts.ssl == 0 else {
                throw LabError("the broker is named by amqp://user:password@host:port/vhost")
            }
            defer { free(text) }
            guard let socket = amqp_tcp_socket_new(connection),
                amqp_socket_open(socket, parts.host, parts.port) == AMQP_STATUS_OK.rawValue
            else { throw LabError("RabbitMQ at \(String(cString: parts.host)):\(parts.port) cannot be reached") }
            var none = amqp_table_t()
            try check(
                crabbitmq_login_plain(connection, parts.vhost, 0, 131_072, 0, &none, parts.user, parts.password),
                "logging in"
            )
            amqp_channel_open(connection, Self.channel)
            try check("opening a channel")
        }

        deinit { amqp_destroy_connection(connection) }

        func close() { _ = amqp_connection_close(connection, CInt(AMQP_REPLY_SUCCESS)) }

        // MARK: Queues

        /// Makes a queue of type classic. With `limit` it holds no more messages; one more is refused, or lets the oldest go.
        func declare(_ queue: String, isDurable: Bool = true, limit: Int? = nil, refuses: Bool = true) throws {
            try withBytes(queue) { name in
                try withBytes(refuses ? "reject-publish" : "drop-head") { overflow in
                    var entries: [amqp_table_entry_t] = []
                    if let limit {
                        entries = [entry("x-max-length", number: limit), entry("x-overflow", text: overflow)]
                    }
                    let durable: amqp_boolean_t = isDurable ? 1 : 0
                    entries.withUnsafeMutableBufferPointer { entries in
                        let table = amqp_table_t(num_entries: CInt(entries.count), entries: entries.baseAddress)
                        _ = amqp_queue_declare(connection, Self.channel, name, 0, durable, 0, 0, table)
                    }
                    try check("queue \(queue)")
                }
            }
        }

        func delete(_ queue: String) throws {
            try withBytes(queue) { name in
                _ = amqp_queue_delete(connection, Self.channel, name, 0, 0)
                try check("queue \(queue)")
            }
        }

        // MARK: Publishing

        func selectConfirms() throws {
            amqp_confirm_select(connection, Self.channel)
            try check("confirms")
        }

        func selectTransactions() throws {
            amqp_tx_select(connection, Self.channel)
            try check("transactions")
        }

        /// Waits until the server has written what was published since the last time.
        func commit() throws {
            amqp_tx_commit(connection, Self.channel)
            try check("a commit")
        }

        /// Hands messages to the operating system; nobody knows of more when this returns.
        func publish(
            _ ids: some Sequence<String>,
            to queue: String,
            isPersistent: Bool = true,
            isMandatory: Bool = false
        ) throws {
            var properties = amqp_basic_properties_t()
            properties._flags = amqp_flags_t(AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG)
            properties.delivery_mode = isPersistent ? 2 : 1
            try withBytes(queue) { queue in
                for id in ids {
                    try withBytes(id) { id in
                        properties.message_id = id
                        let mandatory: amqp_boolean_t = isMandatory ? 1 : 0
                        let status = amqp_basic_publish(
                            connection,
                            Self.channel,
                            amqp_bytes_t(),
                            queue,
                            mandatory,
                            0,
                            &properties,
                            id
                        )
                        guard status == AMQP_STATUS_OK.rawValue else { throw LabError("publishing: status \(status)") }
                    }
                    unanswered.append(true)
                }
            }
        }

        /// Waits until the server has answered all that was published since confirms were asked for.
        func answers() throws -> Answers {
            var answers = Answers()
            while unanswered.contains(true) {
                amqp_maybe_release_buffers(connection)
                var frame = amqp_frame_t()
                guard amqp_simple_wait_frame(connection, &frame) == AMQP_STATUS_OK.rawValue,
                    CInt(frame.frame_type) == AMQP_FRAME_METHOD, let decoded = frame.payload.method.decoded
                else { throw LabError("the connection was lost while confirms were waited for") }
                switch frame.payload.method.id {
                case AMQP_BASIC_ACK_METHOD:
                    let ack = decoded.assumingMemoryBound(to: amqp_basic_ack_t.self).pointee
                    answers.confirmed += answered(ack.delivery_tag, ack.multiple != 0)
                case AMQP_BASIC_NACK_METHOD:
                    let nack = decoded.assumingMemoryBound(to: amqp_basic_nack_t.self).pointee
                    answers.refused += answered(nack.delivery_tag, nack.multiple != 0)
                case AMQP_BASIC_RETURN_METHOD: answers.returned.append(try readMessage())
                default: throw LabError("method \(frame.payload.method.id) while confirms were waited for")
                }
            }
            return answers
        }

        private func answered(_ tag: UInt64, _ isMultiple: Bool) -> [Int] {
            let last = Int(tag)
            let numbers = (isMultiple ? 1...last : last...last).filter { unanswered[$0 - 1] }
            for number in numbers { unanswered[number - 1] = false }
            return numbers
        }

        // MARK: Consuming

        /// Takes one message, nil when none waits; with `autoAck` it is acked as it is handed over.
        func get(_ queue: String, autoAck: Bool) throws -> Delivery? {
            amqp_maybe_release_buffers(connection)
            let reply = withBytes(queue) { amqp_basic_get(connection, Self.channel, $0, autoAck ? 1 : 0) }
            try check(reply, "a get")
            guard reply.reply.id == AMQP_BASIC_GET_OK_METHOD, let decoded = reply.reply.decoded else { return nil }
            let tag = decoded.assumingMemoryBound(to: amqp_basic_get_ok_t.self).pointee.delivery_tag
            return Delivery(id: try readMessage(), tag: tag)
        }

        func ack(_ delivery: Delivery) throws {
            guard amqp_basic_ack(connection, Self.channel, delivery.tag, 0) == AMQP_STATUS_OK.rawValue else {
                throw LabError("an ack could not be sent")
            }
        }

        /// What is in the message whose header comes next.
        private func readMessage() throws -> String {
            var message = amqp_message_t()
            try check(amqp_read_message(connection, Self.channel, &message, 0), "a message")
            defer { amqp_destroy_message(&message) }
            return String(
                decoding: UnsafeRawBufferPointer(start: message.body.bytes, count: message.body.len),
                as: UTF8.self
            )
        }

        // MARK: The library

        private func check(_ what: String) throws { try check(amqp_get_rpc_reply(connection), what) }

        private func check(_ reply: amqp_rpc_reply_t, _ what: String) throws {
            guard reply.reply_type != AMQP_RESPONSE_NORMAL else { return }
            throw LabError("RabbitMQ: \(what) failed: \(Self.reason(reply))")
        }

        private static func reason(_ reply: amqp_rpc_reply_t) -> String {
            guard reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION, let decoded = reply.reply.decoded else {
                return String(cString: amqp_error_string2(reply.library_error))
            }
            // A channel's close and a connection's begin with the code and the text.
            let text = decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee.reply_text
            return String(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.len), as: UTF8.self)
        }

        private func withBytes<R>(_ text: String, _ body: (amqp_bytes_t) throws -> R) rethrows -> R {
            var utf8 = Array(text.utf8)
            return try utf8.withUnsafeMutableBytes { try body(amqp_bytes_t(len: $0.count, bytes: $0.baseAddress)) }
        }

        private func entry(_ name: StaticString, number: Int) -> amqp_table_entry_t {
            var entry = entry(name, AMQP_FIELD_KIND_I64)
            entry.value.value.i64 = Int64(number)
            return entry
        }

        private func entry(_ name: StaticString, text: amqp_bytes_t) -> amqp_table_entry_t {
            var entry = entry(name, AMQP_FIELD_KIND_UTF8)
            entry.value.value.bytes = text
            return entry
        }

        private func entry(_ name: StaticString, _ kind: amqp_field_value_kind_t) -> amqp_table_entry_t {
            var entry = amqp_table_entry_t()
            entry.key = amqp_bytes_t(
                len: name.utf8CodeUnitCount,
                bytes: UnsafeMutableRawPointer(mutating: name.utf8Start)
            )
            entry.value.kind = UInt8(kind.rawValue)
            return entry
        }
    }
#endif
