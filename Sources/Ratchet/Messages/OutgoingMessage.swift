/// A message on its way to a topic.
public struct OutgoingMessage: Hashable, Sendable {
    /// The topic to send to.
    public var topic: String
    /// The partition, or nil to choose it by the key (and in turn without one).
    public var partition: Int?
    /// The key that orders and places the message; nil for none. A key that is present has at least one byte.
    public var key: [UInt8]?
    /// The headers, in order.
    public var headers: [Header]
    /// The body, uninterpreted.
    public var payload: [UInt8]
    /// Whether it is there after the broker was restarted; what the outbox sends always is, and what a broker of several
    /// nodes takes. Default: true.
    public var isPersistent: Bool

    /// A message with a binary key.
    public init(
        to topic: String,
        key: [UInt8]?,
        payload: [UInt8],
        headers: [Header] = [],
        partition: Int? = nil,
        isPersistent: Bool = true
    ) {
        self.isPersistent = isPersistent
        self.topic = topic
        self.partition = partition
        self.key = key
        self.headers = headers
        self.payload = payload
    }

    /// A message whose key is text, stored as UTF-8.
    public init(
        to topic: String,
        key: String? = nil,
        payload: [UInt8],
        headers: [Header] = [],
        partition: Int? = nil,
        isPersistent: Bool = true
    ) {
        self.init(
            to: topic,
            key: key.map { Array($0.utf8) },
            payload: payload,
            headers: headers,
            partition: partition,
            isPersistent: isPersistent
        )
    }

    /// A tombstone: in a topic that keeps the newest message of each key it deletes this one. It is a message with an
    /// empty payload, so in such a topic no other message may have one.
    public static func tombstone(for key: [UInt8], in topic: String) -> OutgoingMessage {
        OutgoingMessage(to: topic, key: key, payload: [])
    }
}
