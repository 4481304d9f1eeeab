/// What makes two deliveries the same event, whatever their offsets: a payment's id, an order's number.
///
/// Kept whole up to 64 bytes (a UUID in lower case as its 16 bytes), longer ones as their SHA-256; the kinds are told
/// apart, so that no two ids can be made to collide.
public struct IdempotencyKey: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: UInt8 {
        case text = 1
        case uuid = 2
        case hashed = 3
        case payload = 4
    }

    /// The longest key that is kept whole, in bytes.
    public static let maximumWholeLength = 64

    /// The stored form: a byte for the kind, then 1 to 64 bytes.
    package let stored: [UInt8]

    package init(stored: [UInt8]) { self.stored = stored }

    /// A key of text, by its UTF-8. Throws ``IdempotencyKeyError/empty`` for no text.
    public init(_ text: String) throws(IdempotencyKeyError) {
        try self.init(Array(text.utf8))
    }

    /// A key of bytes. Throws ``IdempotencyKeyError/empty`` for none.
    public init(_ bytes: [UInt8]) throws(IdempotencyKeyError) {
        guard !bytes.isEmpty else { throw .empty }
        var stored: [UInt8] = []
        bytes.withUnsafeBytes { stored.appendIdempotencyKey($0) }
        self.stored = stored
    }

    /// The key of a message that could not be decoded: its payload's SHA-256.
    package init(payload: UnsafeRawBufferPointer) {
        stored = [Kind.payload.rawValue] + StrongHash.sha256(payload)
    }

    private static let bytesPrefix = "bytes:"

    /// The key as text where it is text, else its kind and hexadecimal digits.
    public var description: String {
        let body = stored.dropFirst()
        switch stored.first.flatMap(Kind.init(rawValue:)) {
        case .text:
            // Text that looks like the form of bytes takes it too: no two keys of a ledger have one description, which
            // ids are made of.
            if !body.starts(with: Self.bytesPrefix.utf8), let text = String(validating: body, as: UTF8.self) {
                return text
            }
            return Self.bytesPrefix + body.hexadecimal
        case .uuid where body.count == 16:
            let digits = Array(body.hexadecimal)
            return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
        case .payload: return "payload-sha256:" + body.hexadecimal
        // A damaged one among them: it says what it holds.
        case .hashed, .uuid, nil: return "sha256:" + body.hexadecimal
        }
    }
}

/// What is wrong with an idempotency key.
public enum IdempotencyKeyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The key has no bytes.
    case empty
    /// The message has no such header.
    case missing(header: String)

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .empty: "the idempotency key is empty: two such messages could not be told apart"
        case .missing(let header):
            "the message has no header '\(header)' to take the idempotency key from; choose another source of keys, or `.positionOnly`"
        }
    }
}

extension Sequence<UInt8> {
    /// Two lower-case hexadecimal digits a byte.
    package var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension [UInt8] {
    /// Appends the stored form of a key of `bytes`, which are not empty.
    package mutating func appendIdempotencyKey(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count == 36, appendUUID(bytes) { return }
        if bytes.count <= IdempotencyKey.maximumWholeLength {
            append(IdempotencyKey.Kind.text.rawValue)
            append(contentsOf: bytes)
        } else {
            append(IdempotencyKey.Kind.hashed.rawValue)
            append(contentsOf: StrongHash.sha256(bytes))
        }
    }

    // Only the lower-case form: as text, an upper-case one is another id.
    private mutating func appendUUID(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let start = count
        append(IdempotencyKey.Kind.uuid.rawValue)
        var high: UInt8?
        for index in 0..<36 {
            let byte = bytes[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { break }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default:
                removeLast(count - start)
                return false
            }
            if let first = high {
                append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        if count - start == 17 { return true }
        removeLast(count - start)
        return false
    }
}
