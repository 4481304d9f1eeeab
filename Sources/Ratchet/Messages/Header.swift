/// One header of a message: a name and bytes.
public struct Header: Hashable, Sendable {
    /// The name: UTF-8, at most 65,535 bytes. Several headers of one message may share a name.
    public var name: String
    /// The value, uninterpreted.
    public var value: [UInt8]

    /// A header with a binary value.
    public init(_ name: String, _ value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// A header with a text value, stored as UTF-8.
    public init(_ name: String, _ value: String) {
        self.init(name, Array(value.utf8))
    }

    /// The value as text, with invalid UTF-8 replaced.
    public var text: String { String(decoding: value, as: UTF8.self) }
}

extension Header {
    /// The header that carries a message's id, `message-id`: what ``IdempotencyKey`` reads by default and the outbox
    /// writes.
    public static let messageIDName = "message-id"

    /// A `message-id` header.
    public static func messageID(_ id: String) -> Header { Header(messageIDName, id) }
}
