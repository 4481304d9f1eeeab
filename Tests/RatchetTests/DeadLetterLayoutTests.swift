import Seeds
import Testing

@testable import Ratchet

@Suite("Dead letter layout")
struct DeadLetterLayoutTests {
    private static func letter(_ random: inout SeededRandom) throws -> DeadLetter {
        let reasons: [DeadLetter.Reason] = [.undecodable, .handler, .key, .conflict]
        return DeadLetter(
            id: 3,
            reason: reasons[random.below(4)],
            partition: TopicPartition("orders", random.below(9)),
            offset: Int64(random.below(1 << 40)),
            key: random.chance(50) ? random.bytes(random.below(9) + 1) : nil,
            headers: (0..<random.below(3)).map { Header("h\($0)", random.bytes(4)) },
            payload: random.bytes(random.below(50)),
            timestamp: Int64(random.below(1 << 40)),
            idempotencyKey: random.chance(50) ? try IdempotencyKey("id") : nil,
            attempts: random.below(20),
            errorType: "Module.Failure",
            errorMessage: "schief gegangen: ß",
            time: Int64(random.below(1 << 40)),
            group: "billing",
            generation: Int64(random.below(100)),
            ledger: String(repeating: "a", count: 32),
            epoch: String(repeating: "b", count: 16),
            deliveries: (0..<random.below(4)).map { .init(partition: TopicPartition("orders", $0), offset: Int64($0)) },
            deliveryCount: random.below(1000)
        )
    }

    private static func decode(_ bytes: [UInt8]) -> DeadLetter? {
        bytes.withUnsafeBytes { DeadLetterLayout.decode($0, id: 3) }
    }

    @Test("A dead letter is read as it was written", arguments: Seed.some(50))
    func roundTrip(seed: Seed) throws {
        var random = seed.random
        let letter = try Self.letter(&random)
        #expect(Self.decode(DeadLetterLayout.encode(letter)) == letter)
    }

    @Test("Every changed byte and every missing end is found", arguments: Seed.some(3))
    func damageIsFound(seed: Seed) throws {
        var random = seed.random
        let bytes = DeadLetterLayout.encode(try Self.letter(&random))
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= UInt8.random(in: 1...255, using: &random)
            #expect(Self.decode(damaged) == nil, "byte \(index)")
            #expect(Self.decode(Array(bytes[..<index])) == nil, "the first \(index) bytes")
        }
    }

    @Test("An error text of any length is kept up to its bound")
    func longErrors() throws {
        var random = SeededRandom(state: 1)
        var letter = try Self.letter(&random)
        letter.errorMessage = String(repeating: "ü", count: 20_000)
        let read = try #require(Self.decode(DeadLetterLayout.encode(letter)))
        #expect(letter.errorMessage.hasPrefix(read.errorMessage))
        #expect(read.errorMessage.utf8.count == DeadLetterLayout.maximumErrorLength)
    }

    @Test("A header whose name is not UTF-8 does no harm, whatever its length")
    func strangeHeaders() throws {
        var random = SeededRandom(state: 2)
        var letter = try Self.letter(&random)
        // What a name of invalid bytes becomes when it is read: longer than a name may be.
        letter.headers = [Header(String(repeating: "\u{fffd}", count: 65_535), "v")]
        let read = try #require(Self.decode(DeadLetterLayout.encode(letter)))
        #expect(read.payload == letter.payload)
    }
}
