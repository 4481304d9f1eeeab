import Testing

@testable import Ratchet

@Suite("Ordering")
struct OrderingTests {
    private static func batch() throws -> MessageBatch {
        try MessageBatch([
            SampleMessage(0, key: "a"), SampleMessage(1, key: "b"), SampleMessage(2, key: "a"), SampleMessage(3),
            SampleMessage(4),
        ])
    }

    private static func lanes(_ ordering: Ordering, slot: Int = 1) throws -> [UInt64] {
        let batch = try batch()
        return (0..<batch.count).map { ordering.lane(of: $0, in: batch, slot: slot) }
    }

    @Test("By key: messages of one key share a lane, messages without a key have their own")
    func byKey() throws {
        let lanes = try Self.lanes(.key)
        #expect(lanes[0] == lanes[2])
        #expect(Set(lanes).count == 4)
    }

    @Test("By partition: one lane. In no order: as many as messages")
    func others() throws {
        #expect(Set(try Self.lanes(.partition)).count == 1)
        #expect(Set(try Self.lanes(.none)).count == 5)
    }

    @Test("Partitions share no lane", arguments: [Ordering.key, .partition, .none])
    func slots(ordering: Ordering) throws {
        #expect(Set(try Self.lanes(ordering)).isDisjoint(with: try Self.lanes(ordering, slot: 2)))
    }

    @Test("A lane is the same each time", arguments: [Ordering.key, .partition, .none])
    func stable(ordering: Ordering) throws {
        #expect(try Self.lanes(ordering) == Self.lanes(ordering))
    }
}
