import Testing

@testable import Ratchet

@Suite("Idempotency key")
struct IdempotencyKeyTests {
    private static let example = "01234567-89ab-cdef-0123-456789abcdef"

    private static func key(_ text: String) throws -> IdempotencyKey { try IdempotencyKey(text) }

    @Test(
        "A damaged key has a description too",
        arguments: [([], "sha256:"), ([1], ""), ([2], "sha256:"), ([2, 9], "sha256:09"), ([9, 10], "sha256:0a")]
    )
    func damaged(stored: [UInt8], description: String) {
        #expect(IdempotencyKey(stored: stored).description == description)
    }

    @Test("A UUID in lower case takes 16 bytes, and is the same text again")
    func uuid() throws {
        let key = try Self.key(Self.example)
        #expect(key.stored.count == 17)
        #expect(key.description == Self.example)
    }

    @Test(
        "What only looks like a UUID is kept as text",
        arguments: [
            example.uppercased(), "01234567-89ab-cdef-0123-456789abcdeg", "01234567089ab-cdef-0123-456789abcdef",
            "0123456789ab-cdef-0123--456789abcdef", "------------------------------------",
            "01234567-89ab-cdef-0123-456789abcde-", "\(example)0", String(example.dropLast()),
            "012345678-9ab-cdef-0123-456789abcdef",
            "01234567-89AB-cdef-0123-456789abcdef", "{1234567-89ab-cdef-0123-456789abcde}",
        ]
    )
    func almostUUID(text: String) throws {
        let key = try Self.key(text)
        #expect(key.stored.count == 1 + text.utf8.count)
        #expect(key.description == text)
        #expect(try key != Self.key(Self.example))
    }

    @Test("Up to 64 bytes a key is kept whole, beyond that as its SHA-256")
    func lengths() throws {
        let whole = String(repeating: "k", count: 64)
        #expect(try Self.key(whole).stored.count == 65)
        #expect(try Self.key(whole).description == whole)
        let long = try Self.key(whole + "k")
        #expect(long.stored.count == 33)
        #expect(long.description.hasPrefix("sha256:"))
        #expect(try long != Self.key(whole + "l"))
    }

    @Test("A key of no bytes is an error")
    func empty() {
        #expect(throws: IdempotencyKeyError.empty) { try IdempotencyKey("") }
        #expect(throws: IdempotencyKeyError.empty) { try IdempotencyKey([UInt8]()) }
    }

    @Test("No key of one kind can be made to look like one of another")
    func kindsNeverCollide() throws {
        let long = [UInt8](repeating: 1, count: 80)
        let hash = long.withUnsafeBytes { StrongHash.sha256($0) }
        let payload = long.withUnsafeBytes { IdempotencyKey(payload: $0) }
        let bits = (0..<16 as Range<UInt8>).map { $0 * 17 }
        let keys = [
            try IdempotencyKey(long), try IdempotencyKey(hash), payload, try IdempotencyKey(payload.stored),
            try IdempotencyKey(bits), try Self.key("00112233-4455-6677-8899-aabbccddeeff"),
            try IdempotencyKey([2] + bits), try IdempotencyKey([3] + hash),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test("A key that is not text is printed in hexadecimal digits")
    func description() throws {
        #expect(try IdempotencyKey([0xff, 0x00]).description == "bytes:ff00")
        #expect(try Self.key("bytes:ff00").description == "bytes:62797465733a66663030")
        #expect(try Self.key("Bestellung-ß").description == "Bestellung-ß")
        let payload = [UInt8]("abc".utf8).withUnsafeBytes { IdempotencyKey(payload: $0) }
        #expect(payload.description.hasPrefix("payload-sha256:ba7816bf"))
    }
}
