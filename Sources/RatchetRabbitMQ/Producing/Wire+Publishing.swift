#if RabbitMQ
    import CRabbitMQ
    import Ratchet

    /// Where a message goes, as the protocol says it.
    struct Route: Equatable {
        let exchange: String
        let routingKey: String
    }

    extension Wire {
        /// Publishes a record; waits only while the socket is full. `now` is milliseconds since 1970.
        func publish(
            _ bytes: UnsafeRawBufferPointer,
            _ parts: RecordLayout.Parts,
            to route: Route,
            isPersistent: Bool,
            now: Int64,
            _ channel: UInt16
        ) throws(RabbitMQError) {
            var properties = amqp_basic_properties_t()
            properties.delivery_mode = isPersistent ? 2 : 1
            let milliseconds = parts.timestamp >= 0 ? parts.timestamp : now
            properties.timestamp = UInt64(clamping: milliseconds / 1_000)
            properties._flags = amqp_flags_t(AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_TIMESTAMP_FLAG)
            var entries = Self.entries(bytes, parts, &properties)
            let status = entries.withUnsafeMutableBufferPointer { entries -> CInt in
                if !entries.isEmpty {
                    properties.headers = amqp_table_t(num_entries: CInt(entries.count), entries: entries.baseAddress)
                    properties._flags |= amqp_flags_t(AMQP_BASIC_HEADERS_FLAG)
                }
                return route.exchange.withBytes { exchange in
                    route.routingKey.withBytes { routingKey in
                        let payload = amqp_bytes_t(bytes[parts.payload])
                        return amqp_basic_publish(connection, channel, exchange, routingKey, 1, 0, &properties, payload)
                    }
                }
            }
            guard status == AMQP_STATUS_OK.rawValue else { throw broken(status, "publishing") }
        }

        /// The headers, and the key as one; an id is a property as well, for whoever looks for it there.
        private static func entries(
            _ bytes: UnsafeRawBufferPointer,
            _ parts: RecordLayout.Parts,
            _ properties: inout amqp_basic_properties_t
        ) -> [amqp_table_entry_t] {
            var entries: [amqp_table_entry_t] = []
            if let key = parts.key { entries.append(entry(keyName, bytes[key])) }
            guard !parts.headers.isEmpty else { return entries }
            var messageID: amqp_bytes_t?
            RecordLayout.forEachHeader(in: UnsafeRawBufferPointer(rebasing: bytes[parts.headers])) { name, value in
                if messageID == nil, name.elementsEqual(Header.messageIDName.utf8), PublishRules.isProperty(value) {
                    messageID = amqp_bytes_t(value[...])
                }
                entries.append(entry(amqp_bytes_t(name[...]), value[...]))
                return true
            }
            if let messageID {
                properties.message_id = messageID
                properties._flags |= amqp_flags_t(AMQP_BASIC_MESSAGE_ID_FLAG)
            }
            return entries
        }

        /// The name of the key's header, for ever.
        private nonisolated(unsafe) static let keyName = amqp_bytes_malloc_dup(
            amqp_cstring_bytes(MessageProperties.keyHeader)
        )

        private static func entry(_ name: amqp_bytes_t, _ value: Slice<UnsafeRawBufferPointer>) -> amqp_table_entry_t {
            var entry = amqp_table_entry_t()
            entry.key = name
            let kind =
                PublishRules.isText(UnsafeRawBufferPointer(rebasing: value))
                ? AMQP_FIELD_KIND_UTF8 : AMQP_FIELD_KIND_BYTES
            entry.value.kind = UInt8(kind.rawValue)
            entry.value.value.bytes = amqp_bytes_t(value)
            return entry
        }
    }

    extension amqp_bytes_t {
        /// Bytes in place.
        init(_ bytes: Slice<UnsafeRawBufferPointer>) {
            let bytes = UnsafeRawBufferPointer(rebasing: bytes)
            self.init(len: bytes.count, bytes: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        }
    }
#endif
