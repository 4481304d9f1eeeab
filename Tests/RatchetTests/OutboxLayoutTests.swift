import Testing

@testable import Ratchet

@Suite("Outbox layout")
struct OutboxLayoutTests {
    private static func decode(_ bytes: [UInt8]) throws -> [OutgoingMessage]? {
        var batch = OutgoingBatch()
        guard let count = bytes.withUnsafeBytes({ OutboxLayout.decode($0, into: &batch) }) else { return nil }
        #expect(count == batch.count)
        return try OutgoingBatchTests.messages(of: batch)
    }

    @Test("An entry is read as it was written", arguments: Seed.some(50))
    func roundTrip(seed: Seed) throws {
        var random = seed.random
        let messages = OutgoingBatchTests.messages(&random, count: random.below(30) + 1)
        #expect(try Self.decode(OutboxLayout.encode(OutgoingBatch(messages))) == messages)
    }

    @Test("Every changed byte and every missing end is found", arguments: Seed.some(5))
    func damageIsFound(seed: Seed) throws {
        var random = seed.random
        let bytes = OutboxLayout.encode(try OutgoingBatch(OutgoingBatchTests.messages(&random, count: 6)))
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= UInt8.random(in: 1...255, using: &random)
            #expect(try Self.decode(damaged) == nil, "byte \(index)")
            #expect(try Self.decode(Array(bytes[..<index])) == nil, "the first \(index) bytes")
        }
    }
}
