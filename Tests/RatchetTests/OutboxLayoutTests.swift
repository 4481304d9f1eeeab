import Seeds
import Testing

@testable import Ratchet

@Suite("Outbox layout")
struct OutboxLayoutTests {
    private static func entries(_ batch: OutgoingBatch, from first: UInt64 = 1) -> [[UInt8]] {
        var entries: [[UInt8]] = []
        OutboxLayout.encode(batch, from: first) { entries.append($1) }
        return entries
    }

    /// The messages of an entry, read in the order that `shuffle` makes; nil if it is not an entry.
    private static func decode(
        _ entry: [UInt8],
        as number: UInt64 = 1,
        in shuffle: ([OutboxItem]) -> [OutboxItem] = { $0 }
    ) throws -> [OutgoingMessage]? {
        var items: [OutboxItem] = []
        guard entry.withUnsafeBytes({ OutboxLayout.scan($0, of: number, into: &items) }) else { return nil }
        var batch = OutgoingBatch()
        for item in shuffle(items) {
            _ = try #require(entry.withUnsafeBytes { OutboxLayout.append(item, of: $0, topic: nil, to: &batch) })
        }
        return try OutgoingBatchTests.messages(of: batch)
    }

    @Test("An entry is read as it was written, message by message in any order", arguments: Seed.some(50))
    func roundTrip(seed: Seed) throws {
        var random = seed.random
        let messages = OutgoingBatchTests.messages(&random, count: random.below(30) + 1)
        let entries = Self.entries(try OutgoingBatch(messages))
        #expect(entries.count == 1)
        #expect(try Self.decode(entries[0]) == messages)
        let order = messages.indices.shuffled(using: &random)
        #expect(try Self.decode(entries[0]) { items in order.map { items[$0] } } == order.map { messages[$0] })
    }

    @Test("Every changed byte and every missing end is found", arguments: Seed.some(5))
    func damageIsFound(seed: Seed) throws {
        var random = seed.random
        let bytes = Self.entries(try OutgoingBatch(OutgoingBatchTests.messages(&random, count: 6)))[0]
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= UInt8.random(in: 1...255, using: &random)
            #expect(try Self.decode(damaged) == nil, "byte \(index)")
            #expect(try Self.decode(Array(bytes[..<index])) == nil, "the first \(index) bytes")
        }
        #expect(try Self.decode(bytes, as: 2) == nil)
    }

    @Test("A message of an entry that is no longer what was scanned is refused, not read past the end")
    func cutAfterScan() throws {
        let bytes = Self.entries(try OutgoingBatch([OutgoingMessage(to: "t", key: "k", payload: [1, 2, 3])]))[0]
        var items: [OutboxItem] = []
        let isEntry = bytes.withUnsafeBytes { OutboxLayout.scan($0, of: 1, into: &items) }
        #expect(isEntry)
        let item = try #require(items.first)
        let end = Int(item.offset + item.size)
        for count in 0..<end {
            var batch = OutgoingBatch()
            let topic = bytes[..<count].withUnsafeBytes { OutboxLayout.append(item, of: $0, topic: nil, to: &batch) }
            #expect(topic == nil && batch.isEmpty)
        }
    }

    @Test("A key of a topic and chosen partition is a lane, a chosen partition too; what has neither is alone")
    func lanes() throws {
        let messages = [
            OutgoingMessage(to: "a", key: "k", payload: []), OutgoingMessage(to: "b", key: "k", payload: []),
            OutgoingMessage(to: "a", key: "l", payload: []), OutgoingMessage(to: "a", payload: [], partition: 1),
            OutgoingMessage(to: "a", key: "k", payload: [], partition: 1),
        ]
        let alone = [OutgoingMessage(to: "a", payload: []), OutgoingMessage(to: "a", payload: [])]
        let batch = try OutgoingBatch(alone + messages)
        let lanes = try (1...2 as ClosedRange<UInt64>).map { number in
            var items: [OutboxItem] = []
            let entry = Self.entries(batch, from: number)[0]
            let isEntry = entry.withUnsafeBytes { OutboxLayout.scan($0, of: number, into: &items) }
            try #require(isEntry)
            return items.map(\.lane)
        }
        #expect(lanes[0].dropFirst(2) == lanes[1].dropFirst(2))
        #expect(Set(lanes[0] + lanes[1]).count == messages.count + 2 * alone.count)
    }

    @Test("A batch of many bytes is cut into entries of few, in order; a message that is larger has its own")
    func cut() throws {
        let sizes = [3 << 20, 1 << 19, 1 << 19, 1, 5 << 20, 1, 4 << 20]
        let messages = sizes.enumerated().map { number, size in
            OutgoingMessage(to: "t\(number)", key: "k", payload: [UInt8](repeating: UInt8(number), count: size))
        }
        let entries = Self.entries(try OutgoingBatch(messages))
        let decoded = try entries.enumerated().map { try #require(try Self.decode($1, as: UInt64($0 + 1))) }
        #expect(decoded.map(\.count) == [2, 2, 1, 1, 1])
        #expect(decoded.flatMap { $0 } == messages)
    }

    @Test("A batch of more messages and topics than an entry can number is cut")
    func manyTopics() throws {
        let messages = (0..<70_000).map { OutgoingMessage(to: "t\($0)", payload: []) }
        let entries = Self.entries(try OutgoingBatch(messages))
        let decoded = try entries.enumerated().map { try #require(try Self.decode($1, as: UInt64($0 + 1))) }
        #expect(decoded.map(\.count) == [65_535, 4_465])
        #expect(decoded.flatMap { $0 } == messages)
    }
}
