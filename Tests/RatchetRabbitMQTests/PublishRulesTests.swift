#if RabbitMQ
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct PublishRulesTests {
        private static func routingKey(_ key: [UInt8]) throws -> String {
            let batch = try OutgoingBatch([OutgoingMessage(to: "t", key: key, payload: [])])
            let settings = RabbitMQSinkSettings.with { $0.routing = .exchangeByKey("x") }
            return batch.bytes.withUnsafeBytes { bytes in
                let parts = batch.parts(of: batch.entries[0], in: bytes)
                return PublishRules.route(of: batch.entries[0], parts, in: batch, bytes, settings).routingKey
            }
        }

        @Test("A key of any length becomes a routing key of whole characters, 255 bytes at the most")
        func shortened() throws {
            for (key, expected) in [
                ("short", "short"),
                (String(repeating: "a", count: 255), String(repeating: "a", count: 255)),
                (String(repeating: "a", count: 120_000), String(repeating: "a", count: 255)),
                (String(repeating: "ж", count: 50_000), String(repeating: "ж", count: 127)),
                (String(repeating: "a", count: 254) + "漢字", String(repeating: "a", count: 254)),
                (String(repeating: "a", count: 252) + "😀😀", String(repeating: "a", count: 252)),
            ] {
                #expect(try Self.routingKey(Array(key.utf8)) == expected)
            }
            // No text: replaced, and still a routing key.
            let bytes = try Self.routingKey(Array(repeating: 0xFF, count: 120_000))
            #expect(bytes == String(repeating: "\u{FFFD}", count: 85))
        }
    }
#endif
