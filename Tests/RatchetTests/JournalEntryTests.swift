import Seeds
import Testing

@testable import Ratchet

@Suite("Journal entry")
struct JournalEntryTests {
    private struct Sample {
        var key: [UInt8]
        var fingerprint: UInt64
        var record: JournalLayout.Record
    }

    private static let partitions = [TopicPartition("orders", 0), TopicPartition("orders", 7), TopicPartition("", 3)]

    private static func samples(_ random: inout SeededRandom, count: Int) -> [Sample] {
        (0..<count).map { number in
            let outcomes: [JournalLayout.Outcome] = [.processed, .deadLettered, .discarded]
            let outcome = outcomes[random.below(outcomes.count)]
            var key = random.bytes(random.below(60) + 2)
            key.appendLittleEndian(UInt16(number))
            return Sample(
                key: key,
                fingerprint: random.next() & 0xff_ffff,
                record: .init(
                    outcome: outcome,
                    partition: random.below(partitions.count),
                    payloadDigest: UInt32(truncatingIfNeeded: random.next()),
                    offset: Int64(random.below(1 << 40)),
                    deadLetter: outcome == .deadLettered ? random.next() : nil
                )
            )
        }
    }

    private static func append(_ samples: [Sample], to builder: inout JournalBuilder) {
        for partition in partitions { _ = builder.number(of: partition) }
        for sample in samples {
            sample.key.withUnsafeBytes { key in
                builder.append(
                    key: key,
                    fingerprint: sample.fingerprint,
                    outcome: sample.record.outcome,
                    partition: sample.record.partition,
                    offset: sample.record.offset,
                    payloadDigest: sample.record.payloadDigest,
                    deadLetter: sample.record.deadLetter
                )
            }
        }
    }

    private static func entry(of samples: [Sample], time: Int64 = 5) -> [UInt8] {
        var builder = JournalBuilder()
        append(samples, to: &builder)
        return bytes(of: builder, time: time)
    }

    private static func bytes(of builder: borrowing JournalBuilder, time: Int64) -> [UInt8] {
        let count = builder.byteCount
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            builder.write(
                to: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]),
                sequence: 4,
                time: time
            )
            used = count
        }
    }

    @Test(
        "Every record is found by its key, and read as it was written",
        arguments: Seed.some(10),
        [1, 2, 3, 50, 2000]
    )
    func roundTrip(seed: Seed, count: Int) throws {
        var random = seed.random
        let samples = Self.samples(&random, count: count)
        try Self.entry(of: samples, time: 77).withUnsafeBytes { bytes in
            let entry = try #require(JournalEntry(bytes))
            #expect(entry.verified(4) && !entry.verified(5))
            #expect(entry.count == count)
            #expect(entry.time == 77)
            #expect(try entry.partitions() == Self.partitions)
            for (index, sample) in samples.enumerated() {
                let found = try sample.key.withUnsafeBytes { try entry.record(of: $0, fingerprint: sample.fingerprint) }
                #expect(found == sample.record)
                let (key, record) = try entry.record(at: index)
                #expect(Array(key) == sample.key)
                #expect(record == sample.record)
            }
            let stranger = [UInt8](repeating: 9, count: 70)
            for sample in samples {
                let found = try stranger.withUnsafeBytes { try entry.record(of: $0, fingerprint: sample.fingerprint) }
                #expect(found == nil)
            }
        }
    }

    @Test("The builder finds what it holds, also where all fingerprints are the same", arguments: Seed.some(10))
    func builderFinds(seed: Seed) {
        var random = seed.random
        var samples = Self.samples(&random, count: 60)
        for index in samples.indices { samples[index].fingerprint = 3 }
        var builder = JournalBuilder()
        Self.append(samples, to: &builder)
        for sample in samples {
            let found = sample.key.withUnsafeBytes { builder.record(of: $0, fingerprint: 3) }
            #expect(found == sample.record)
            let other = sample.key.withUnsafeBytes { builder.record(of: $0, fingerprint: 4) }
            #expect(other == nil)
        }
        builder.removeAll()
        let rest = samples[0].key.withUnsafeBytes { builder.record(of: $0, fingerprint: 3) }
        #expect(rest == nil)
    }

    @Test("A builder that is used again writes what a new one writes", arguments: Seed.some(5))
    func builderIsReused(seed: Seed) {
        var random = seed.random
        var builder = JournalBuilder()
        for _ in 0..<5 {
            let samples = Self.samples(&random, count: random.below(900) + 1)
            builder.removeAll()
            Self.append(samples, to: &builder)
            let bytes = Self.bytes(of: builder, time: 5)
            #expect(bytes == Self.entry(of: samples))
        }
    }

    @Test("Every changed byte is found", arguments: Seed.some(3))
    func damageIsFound(seed: Seed) {
        var random = seed.random
        let whole = Self.entry(of: Self.samples(&random, count: 20))
        for index in whole.indices {
            var bytes = whole
            bytes[index] ^= UInt8.random(in: 1...255, using: &random)
            let isBelieved = bytes.withUnsafeBytes { JournalEntry($0)?.verified(4) ?? false }
            #expect(!isBelieved, "byte \(index)")
        }
    }

    @Test("Lengths that lie never lead out of the entry", arguments: Seed.some(10))
    func malformedIsHarmless(seed: Seed) {
        var random = seed.random
        let samples = Self.samples(&random, count: 12)
        let whole = Self.entry(of: samples)
        for _ in 0..<200 {
            var bytes = Array(whole.prefix(random.chance(30) ? random.below(whole.count + 1) : whole.count))
            for _ in 0..<random.below(6) where !bytes.isEmpty {
                bytes[random.below(bytes.count)] = random.chance(50) ? 0xff : UInt8.random(in: 0...255, using: &random)
            }
            bytes.withUnsafeBytes { bytes in
                guard let entry = JournalEntry(bytes) else { return }
                for index in -1...entry.count {
                    guard let (key, _) = try? entry.record(at: index) else { continue }
                    #expect(key.count <= 255)
                }
                for sample in samples {
                    _ = try? sample.key.withUnsafeBytes { try entry.record(of: $0, fingerprint: sample.fingerprint) }
                }
                _ = try? entry.partitions()
            }
        }
    }
}
