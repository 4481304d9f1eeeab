import Seeds
import Testing

@testable import Ratchet

@Suite("Fuzzing: what a ledger stores", .fuzzing)
struct LedgerLayoutTests {
    @Test("A changed journal entry is not believed, and lengths that lie lead nowhere", arguments: Seed.some(1))
    func journal(seed: Seed) async throws {
        try await Fuzz.run("journal", seed, rounds: 3_000) { random in
            let (whole, other) = (Sample.journalEntry(&random), Sample.journalEntry(&random))
            var bytes = whole.damaged(by: other, &random)
            let isBelieved = bytes.withUnsafeBytes { JournalEntry($0)?.verified(Sample.sequence) ?? false }
            #expect(isBelieved == (bytes == whole || bytes == other))
            if random.chance(50), bytes.count >= 16 {
                let sum = bytes.withUnsafeBytes { JournalBuilder.checksum(of: $0, sequence: Sample.sequence) }
                bytes.withUnsafeMutableBytes { $0.storeBytes(of: sum.littleEndian, toByteOffset: 8, as: UInt64.self) }
            }
            // What a look-up finds after the opening has verified it is read without a second look at its checksum.
            bytes.withUnsafeBytes { Self.walk($0, &random) }
        }
    }

    private static func walk(_ bytes: UnsafeRawBufferPointer, _ random: inout SeededRandom) {
        guard let entry = JournalEntry(bytes) else { return }
        for index in -1...entry.count {
            guard let (key, _) = try? entry.record(at: index) else { continue }
            #expect((1...255).contains(key.count))
            if let at = try? entry.outcomeOffset(of: index) { #expect(at < bytes.count) }
            _ = try? entry.record(of: key, fingerprint: random.next())
        }
        if let partitions = try? entry.partitions() { #expect(partitions.count * 6 <= bytes.count) }
    }

    @Test("A changed position is not believed; one that fits is read as it is written", arguments: Seed.some(1))
    func position(seed: Seed) async throws {
        try await Fuzz.run("position", seed, rounds: 10_000) { random in
            let (whole, other) = (Sample.position(&random), Sample.position(&random))
            var bytes = whole.damaged(by: other, &random)
            let read = bytes.withUnsafeBytes { PositionLayout.decode($0, key: Sample.positionKey) }
            #expect((read != nil) == (bytes == whole || bytes == other))
            bytes.sealEnd(seed: Sample.positionKey.withUnsafeBytes { Checksum.xxh64($0) })
            guard let sealed = bytes.withUnsafeBytes({ PositionLayout.decode($0, key: Sample.positionKey) }) else {
                return
            }
            var again: [UInt8] = []
            PositionLayout.encode(sealed, key: Sample.positionKey, into: &again)
            #expect(again.withUnsafeBytes { PositionLayout.decode($0, key: Sample.positionKey) } == sealed)
            var tracker = sealed.tracker
            let offset = Int64(random.below(2000))
            tracker.settle(offset..<offset + 3, digest: 1)
            #expect(tracker.isDone(offset) && tracker.isDone(offset + 2))
        }
    }

    @Test("A changed dead letter is not believed; one that fits is read as it is written", arguments: Seed.some(1))
    func deadLetter(seed: Seed) async throws {
        try await Fuzz.run("dead-letter", seed, rounds: 5_000) { random in
            let whole = DeadLetterLayout.encode(try Sample.deadLetter(&random))
            let other = DeadLetterLayout.encode(try Sample.deadLetter(&random))
            var bytes = whole.damaged(by: other, &random)
            let read = bytes.withUnsafeBytes { DeadLetterLayout.decode($0, id: 1) }
            #expect((read != nil) == (bytes == whole || bytes == other))
            bytes.sealEnd(seed: Sample.sequence)
            guard let sealed = bytes.withUnsafeBytes({ DeadLetterLayout.decode($0, id: 1) }) else { return }
            #expect(sealed.payload.count + sealed.deliveries.count * 16 <= bytes.count)
            #expect(sealed.idempotencyKey?.description.isEmpty != true)
            let again = DeadLetterLayout.encode(sealed)
            #expect(again.withUnsafeBytes { DeadLetterLayout.decode($0, id: 1) } == sealed)
        }
    }

    @Test("A changed outbox entry is not believed; lengths that lie lead nowhere", arguments: Seed.some(1))
    func outbox(seed: Seed) async throws {
        try await Fuzz.run("outbox", seed, rounds: 5_000) { random in
            let (whole, other) = (try Sample.outboxEntry(&random), try Sample.outboxEntry(&random))
            var bytes = whole.damaged(by: other, &random)
            var items: [OutboxItem] = []
            let isBelieved = bytes.withUnsafeBytes { OutboxLayout.scan($0, of: 1, into: &items) }
            #expect(isBelieved == (bytes == whole || bytes == other))
            bytes.sealEnd(seed: Sample.sequence)
            _ = bytes.withUnsafeBytes { OutboxLayout.count(of: $0, number: Sample.sequence) }
            items = []
            guard bytes.withUnsafeBytes({ OutboxLayout.scan($0, of: 1, into: &items) }) else { return }
            var batch = OutgoingBatch()
            for item in items {
                let topic = bytes.withUnsafeBytes { OutboxLayout.append(item, of: $0, topic: nil, to: &batch) }
                #expect(topic != nil)
            }
            #expect(batch.count == items.count && batch.byteCount <= bytes.count)
        }
    }

    @Test("Metadata beside an offset is one that was written, or nobody's", arguments: Seed.some(1))
    func metadata(seed: Seed) async throws {
        try await Fuzz.run("commit-metadata", seed, rounds: 10_000) { random in
            let digits = String(repeating: "0f", count: 16)
            let whole = Array(CommitMetadata(ledger: digits, epoch: String(digits.prefix(16))).description.utf8)
            let text = String(decoding: whole.damaged(by: random.bytes(60), &random), as: UTF8.self)
            if let read = CommitMetadata(text) { #expect(read.description == text) }
        }
    }
}
