import Ratchet

/// A message that a simulation's producers send.
public struct SimulatedMessage: Hashable, Sendable {
    /// Its name in stories and findings, and its `message-id` header: different from all others of the run.
    public var id: String
    /// The key that orders and places it, nil for none.
    public var key: String?
    /// The body.
    public var payload: [UInt8]

    /// A message with any body; by default its id as text.
    public init(id: String, key: String? = nil, payload: [UInt8]? = nil) {
        self.id = id
        self.key = key
        self.payload = payload ?? Array(id.utf8)
    }

    /// A message whose body is `value` as JSON. Throws what encoding the value throws.
    public init(id: String, key: String? = nil, json value: some Encodable) throws {
        let message = try OutgoingMessage(json: value, to: World.topic)
        self.init(id: id, key: key, payload: message.payload)
    }
}

extension Message {
    /// Its name in a history: the id that its producer gave it.
    var name: String {
        withHeader(Header.messageIDName) { $0.map { String(decoding: $0, as: UTF8.self) } } ?? text
    }
}
