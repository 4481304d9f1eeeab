#if RabbitMQ
    import CRabbitMQ
    import Ratchet

    /// What a message says of itself beside its payload, as it goes into a record.
    struct MessageProperties {
        /// The header that a message's key travels in.
        static let keyHeader = "ratchet-key"
        /// Where a quorum queue counts the deliveries that came to nothing; told as the message's delivery count.
        static let countHeader = "x-delivery-count"
        /// Where a stream says which of its messages this is.
        static let streamOffsetHeader = "x-stream-offset"
        /// Whether a header of this name is none of the message's own.
        static func isTaken(_ name: some Sequence<UInt8>) -> Bool {
            name.elementsEqual(keyHeader.utf8) || name.elementsEqual(countHeader.utf8)
                || name.elementsEqual(streamOffsetHeader.utf8)
        }

        /// How deep tables within tables are read; what lies deeper is left out.
        private static let deepest = 8

        var key: [UInt8]?
        /// Encoded as in a record.
        private(set) var headers: [UInt8] = []
        /// Milliseconds since 1970, nil if the message has none.
        var timestamp: Int64?
        /// Its offset in the stream that it comes from.
        var streamOffset: Int64?
        /// How many deliveries came to nothing, as far as the queue counts them.
        var failedDeliveries: Int64?

        init() {}

        /// Reads the library's properties, which are not needed afterwards.
        init(_ properties: UnsafePointer<amqp_basic_properties_t>) { read(properties) }

        /// As the initialiser, in the place of others and the memory of their headers.
        mutating func read(_ properties: UnsafePointer<amqp_basic_properties_t>) {
            headers.removeAll(keepingCapacity: true)
            (key, timestamp, streamOffset, failedDeliveries) = (nil, nil, nil, nil)
            let flags = properties.pointee._flags
            func has(_ flag: CInt) -> Bool { flags & amqp_flags_t(flag) != 0 }
            var hasMessageID = false
            if has(AMQP_BASIC_HEADERS_FLAG) {
                let table = properties.pointee.headers
                for index in 0..<Int(max(0, table.num_entries)) {
                    take(table.entries[index], &hasMessageID)
                }
            }
            if has(AMQP_BASIC_MESSAGE_ID_FLAG), !hasMessageID {
                append(Header.messageIDName, properties.pointee.message_id)
            }
            if has(AMQP_BASIC_TIMESTAMP_FLAG) {
                let (milliseconds, isTooFar) = properties.pointee.timestamp.multipliedReportingOverflow(by: 1_000)
                timestamp = isTooFar ? nil : Int64(exactly: milliseconds)
            }
            appendOthers(properties.pointee, flags)
        }

        /// What users of the protocol know beside headers, as headers; without a list of them, which each message would make.
        private mutating func appendOthers(_ properties: amqp_basic_properties_t, _ flags: amqp_flags_t) {
            func append(_ flag: CInt, _ name: StaticString, _ value: amqp_bytes_t) {
                guard flags & amqp_flags_t(flag) != 0 else { return }
                let name = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
                headers.appendHeader(name, UnsafeRawBufferPointer(value))
            }
            append(AMQP_BASIC_CONTENT_TYPE_FLAG, "content-type", properties.content_type)
            append(AMQP_BASIC_CONTENT_ENCODING_FLAG, "content-encoding", properties.content_encoding)
            append(AMQP_BASIC_CORRELATION_ID_FLAG, "correlation-id", properties.correlation_id)
            append(AMQP_BASIC_REPLY_TO_FLAG, "reply-to", properties.reply_to)
            append(AMQP_BASIC_TYPE_FLAG, "type", properties.type)
            append(AMQP_BASIC_APP_ID_FLAG, "app-id", properties.app_id)
        }

        /// The property that names a message; nil if it has none.
        static func messageID(of properties: UnsafePointer<amqp_basic_properties_t>) -> [UInt8]? {
            guard properties.pointee._flags & amqp_flags_t(AMQP_BASIC_MESSAGE_ID_FLAG) != 0 else { return nil }
            return Array(UnsafeRawBufferPointer(properties.pointee.message_id))
        }

        private mutating func take(_ entry: amqp_table_entry_t, _ hasMessageID: inout Bool) {
            let name = UnsafeRawBufferPointer(entry.key)
            if name.elementsEqual(Self.keyHeader.utf8), let bytes = Self.bytes(entry.value), bytes.len > 0 {
                key = Array(UnsafeRawBufferPointer(bytes))
                return
            }
            // The server puts its own in the place of the first that the publisher has named so; the others stay.
            if name.elementsEqual(Self.countHeader.utf8) {
                failedDeliveries = failedDeliveries ?? Self.number(entry.value)
                return
            }
            if name.elementsEqual(Self.streamOffsetHeader.utf8) {
                streamOffset = streamOffset ?? Self.number(entry.value)
                return
            }
            // A name of no bytes is none.
            guard !name.isEmpty else { return }
            if name.elementsEqual(Header.messageIDName.utf8) { hasMessageID = true }
            if let bytes = Self.bytes(entry.value) {
                headers.appendHeader(name, UnsafeRawBufferPointer(bytes))
            } else {
                let text = Array(Self.text(entry.value, within: Self.deepest).utf8)
                text.withUnsafeBytes { headers.appendHeader(name, $0) }
            }
        }

        private mutating func append(_ name: String, _ value: amqp_bytes_t) {
            var name = name
            name.withUTF8 { headers.appendHeader(UnsafeRawBufferPointer($0), UnsafeRawBufferPointer(value)) }
        }

        private static func bytes(_ value: amqp_field_value_t) -> amqp_bytes_t? {
            switch UInt32(value.kind) {
            case AMQP_FIELD_KIND_UTF8.rawValue, AMQP_FIELD_KIND_BYTES.rawValue: value.value.bytes
            default: nil
            }
        }

        private static func number(_ value: amqp_field_value_t) -> Int64? {
            switch UInt32(value.kind) {
            case AMQP_FIELD_KIND_I8.rawValue: Int64(value.value.i8)
            case AMQP_FIELD_KIND_U8.rawValue: Int64(value.value.u8)
            case AMQP_FIELD_KIND_I16.rawValue: Int64(value.value.i16)
            case AMQP_FIELD_KIND_U16.rawValue: Int64(value.value.u16)
            case AMQP_FIELD_KIND_I32.rawValue: Int64(value.value.i32)
            case AMQP_FIELD_KIND_U32.rawValue: Int64(value.value.u32)
            case AMQP_FIELD_KIND_I64.rawValue: value.value.i64
            case AMQP_FIELD_KIND_U64.rawValue, AMQP_FIELD_KIND_TIMESTAMP.rawValue: Int64(clamping: value.value.u64)
            default: nil
            }
        }

        /// A value that is neither text nor bytes, as people read it: `3`, `true`, `[a, b]`, `{count: 1}`.
        private static func text(_ value: amqp_field_value_t, within depth: Int) -> String {
            if let bytes = bytes(value) { return String(bytes) }
            if let number = number(value) { return "\(number)" }
            switch UInt32(value.kind) {
            case AMQP_FIELD_KIND_BOOLEAN.rawValue: return value.value.boolean != 0 ? "true" : "false"
            case AMQP_FIELD_KIND_F32.rawValue: return "\(value.value.f32)"
            case AMQP_FIELD_KIND_F64.rawValue: return "\(value.value.f64)"
            case AMQP_FIELD_KIND_ARRAY.rawValue where depth > 0:
                let array = value.value.array
                let items = (0..<Int(max(0, array.num_entries))).map { text(array.entries[$0], within: depth - 1) }
                return "[\(items.joined(separator: ", "))]"
            case AMQP_FIELD_KIND_TABLE.rawValue where depth > 0:
                let table = value.value.table
                let items = (0..<Int(max(0, table.num_entries))).map {
                    "\(String(table.entries[$0].key)): \(text(table.entries[$0].value, within: depth - 1))"
                }
                return "{\(items.joined(separator: ", "))}"
            default: return ""
            }
        }
    }
#endif
