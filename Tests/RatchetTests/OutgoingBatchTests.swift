import Seeds
import Testing

@testable import Ratchet

@Suite("Outgoing batch")
struct OutgoingBatchTests {
    /// Messages as they come out again.
    static func messages(of batch: OutgoingBatch) throws -> [OutgoingMessage] {
        try batch.bytes.withUnsafeBytes { bytes in
            try batch.entries.map { entry in
                let parts = try RecordLayout.parts(of: bytes, at: entry.start)
                #expect(parts.end == entry.end)
                var headers: [Header] = []
                RecordLayout.forEachHeader(in: UnsafeRawBufferPointer(rebasing: bytes[parts.headers])) { name, value in
                    headers.append(Header(String(decoding: name, as: UTF8.self), Array(value)))
                    return true
                }
                return OutgoingMessage(
                    to: batch.topics[Int(entry.topic)],
                    key: parts.key.map { Array(bytes[$0]) },
                    payload: Array(bytes[parts.payload]),
                    headers: headers,
                    partition: entry.partition < 0 ? nil : Int(entry.partition)
                )
            }
        }
    }

    /// Messages of a few topics and keys.
    static func messages(_ random: inout SeededRandom, count: Int, topics: Int = 3) -> [OutgoingMessage] {
        (0..<count).map { number in
            OutgoingMessage(
                to: "topic\(random.below(topics))",
                key: random.chance(70) ? [UInt8(random.below(5))] : nil,
                payload: random.bytes(random.below(30)),
                headers: [.messageID("id\(number)")],
                partition: random.chance(20) ? random.below(4) : nil
            )
        }
    }

    @Test("Messages come out as they went in, also by way of another batch", arguments: Seed.some(50))
    func roundTrip(seed: Seed) throws {
        var random = seed.random
        let messages = Self.messages(&random, count: random.below(40))
        let batch = try OutgoingBatch(messages)
        #expect(try Self.messages(of: batch) == messages)
        var picked = OutgoingBatch()
        let order = messages.indices.shuffled(using: &random)
        for index in order { picked.append(entry: index, of: batch) }
        #expect(try Self.messages(of: picked) == order.map { messages[$0] })
    }

    @Test(
        "Cutting a batch off forgets the end, its topics too, and nothing else",
        arguments: [3, 40],
        Seed.some(30)
    )
    func truncate(topics: Int, seed: Seed) throws {
        var random = seed.random
        let messages = Self.messages(&random, count: 60, topics: topics)
        let more = Self.messages(&random, count: 30, topics: topics)
        var batch = try OutgoingBatch(messages)
        let kept = random.below(65)
        batch.truncate(to: kept)
        #expect(Set(batch.topics) == Set(messages.prefix(kept).map(\.topic)))
        #expect(try Self.messages(of: batch) == Array(messages.prefix(kept)))
        for message in more { try batch.append(message) }
        #expect(try Self.messages(of: batch) == Array(messages.prefix(kept)) + more)
        #expect(Set(batch.topics).count == batch.topics.count)
    }

    @Test("What no broker would take is refused, and nothing of it is kept")
    func refused() throws {
        var batch = OutgoingBatch()
        try batch.append(to: "t", key: nil, payload: [1])
        let long = String(repeating: "n", count: 65_536)
        let cases: [(MessageError.Code, OutgoingMessage)] = [
            (.emptyKey, OutgoingMessage(to: "t", key: [] as [UInt8], payload: [])),
            (.invalidHeader, OutgoingMessage(to: "t", payload: [], headers: [Header("", "v")])),
            (.invalidHeader, OutgoingMessage(to: "t", payload: [], headers: [Header(long, "v")])),
            (.unknownPartition, OutgoingMessage(to: "t", payload: [], partition: -1)),
            (.unknownPartition, OutgoingMessage(to: "t", payload: [], partition: 1 << 31)),
            (.unknownTopic, OutgoingMessage(to: "", payload: [])),
            (.unknownTopic, OutgoingMessage(to: long, payload: [])),
            (.tooLarge, OutgoingMessage(to: "t", payload: [UInt8](repeating: 0, count: 64 << 20))),
        ]
        for (code, message) in cases {
            let error = #expect(throws: MessageError.self) { try batch.append(message) }
            #expect(error?.code == code)
            #expect(batch.count == 1)
            #expect(batch.byteCount == RecordLayout.fixedSize + 1)
        }
    }

    @Test("A header's longest name and a key of one byte are taken")
    func limits() throws {
        let name = String(repeating: "n", count: 65_535)
        let message = OutgoingMessage(to: "t", key: [0], payload: [], headers: [Header(name, "v")])
        #expect(try Self.messages(of: OutgoingBatch([message])) == [message])
    }
}
