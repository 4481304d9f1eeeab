/// How a message's bytes become what the handler gets.
///
/// A payload that does not decode is kept as a dead letter, under its SHA-256 as the key, and the stream goes on.
public struct Decoder<Payload: Sendable>: Sendable {
    package let decode: @Sendable (Message) throws -> Payload

    /// A decoder of one's own. What it throws makes the message a dead letter: it is not retried, since the bytes will
    /// not change.
    public init(_ decode: @escaping @Sendable (Message) throws -> Payload) {
        self.decode = decode
    }
}

extension Decoder where Payload: Decodable {
    /// Decodes the payload as JSON.
    public static func json(_ type: Payload.Type = Payload.self) -> Decoder<Payload> {
        Decoder { message in try message.withPayloadBytes { try JSONCoding.decode(type, from: $0) } }
    }
}

extension Decoder where Payload == Message {
    /// Hands the message over as it is, to be read in place.
    public static var raw: Decoder<Message> { Decoder { $0 } }
}
