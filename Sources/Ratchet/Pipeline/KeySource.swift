/// Where a message's idempotency key comes from: what makes two deliveries under different offsets the same event.
///
/// Keys of one ledger are one space, whatever the topic: where a group reads several topics whose ids may be equal, put
/// the topic into the key.
///
/// A message that must have a key and has none is kept as a dead letter: treating it as new would let its effects
/// happen twice.
public struct KeySource<Payload: Sendable>: Sendable {
    /// Appends the stored form of the key, nil for a pipeline that has none.
    package let append: (@Sendable (Payload, Message, inout [UInt8]) throws -> Void)?

    /// The value of a header; `message-id` by default, which the outbox writes.
    public static func header(_ name: String = Header.messageIDName) -> KeySource {
        KeySource { _, message, keys in
            try message.withHeader(name) { value in
                guard let value, !value.isEmpty else { throw IdempotencyKeyError.missing(header: name) }
                keys.appendIdempotencyKey(value)
            }
        }
    }

    /// The `message-id` header.
    public static var messageID: KeySource { header() }

    /// A field of the payload, or text made from several.
    public static func field(_ text: @escaping @Sendable (Payload) throws -> String) -> KeySource {
        KeySource { payload, _, keys in
            var text = try text(payload)
            try text.withUTF8 { bytes in
                guard !bytes.isEmpty else { throw IdempotencyKeyError.empty }
                keys.appendIdempotencyKey(UnsafeRawBufferPointer(bytes))
            }
        }
    }

    /// Any key at all.
    public static func custom(_ key: @escaping @Sendable (Payload, Message) throws -> IdempotencyKey) -> KeySource {
        KeySource { payload, message, keys in keys.append(contentsOf: try key(payload, message).stored) }
    }

    /// No key: a record that is delivered again is known by its offset, but the same event under a new offset is a new
    /// event. Only for sources whose producers never send twice.
    public static var positionOnly: KeySource { KeySource(append: nil) }

    private init(_ append: @escaping @Sendable (Payload, Message, inout [UInt8]) throws -> Void) {
        self.append = append
    }

    private init(append: (@Sendable (Payload, Message, inout [UInt8]) throws -> Void)?) {
        self.append = append
    }
}
