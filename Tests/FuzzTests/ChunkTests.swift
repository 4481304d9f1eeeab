import Seeds
import Testing

@testable import Ratchet
@testable import RatchetBroker

@Suite("Fuzzing: chunks of the broker's log", .fuzzing)
struct ChunkTests {
    private static let uid: UInt32 = 7

    @Test("A changed chunk of the log is not believed; lengths that lie lead nowhere", arguments: Seed.some(1))
    func chunk(seed: Seed) async throws {
        try await Fuzz.run("chunk", seed, rounds: 5_000) { random in
            let (whole, other) = (Self.chunk(&random), Self.chunk(&random))
            var bytes = whole.damaged(by: other, &random)
            #expect((Self.read(bytes) != nil) == (bytes == whole || bytes == other))
            bytes.sealChunk()
            guard let header = Self.read(bytes) else { return }
            #expect(header.endOffset > header.baseOffset && header.chunkSize == bytes.count)
            let records = Array(bytes[header.records])
            if let batch = MessageLayoutTests.batch(of: records, count: min(header.count, 500)) {
                #expect(MessageLayoutTests.size(of: batch) <= records.count)
            }
            bytes.withUnsafeBytes { Self.walk($0, header, &random) }
        }
    }

    /// Whatever else is read of a chunk lies within what it covers.
    private static func walk(
        _ chunk: UnsafeRawBufferPointer,
        _ header: ChunkLayout.Header,
        _ random: inout SeededRandom
    ) {
        var offsets: [Int64] = []
        var isWhole = true
        do { try ChunkLayout.forEachRecord(header, in: chunk) { record, _ in offsets.append(record.offset) } } catch {
            isWhole = false
        }
        #expect(zip(offsets, offsets.dropFirst()).allSatisfy { $0 < $1 })
        #expect(offsets.allSatisfy { (header.baseOffset..<header.endOffset).contains($0) })
        #expect(!isWhole || offsets.count == header.count)
        let wanted = header.baseOffset + Int64(random.below(min(header.span, 50) + 1))
        let index = ChunkLayout.index(atLeast: wanted, header, in: chunk)
        #expect((0...header.count).contains(index))
        if isWhole { #expect(index == offsets.count { $0 < wanted }) }
        for entry in (try? ChunkLayout.entries(header, in: chunk)) ?? [] {
            #expect(Int(entry.delta) + Int(entry.count) <= header.span && entry.producer >= 0 && entry.epoch >= 0)
        }
    }

    @Test("Of chunks whose lengths lie compaction makes one that can be read, or refuses", arguments: Seed.some(1))
    func compacted(seed: Seed) async throws {
        try await Fuzz.run("compaction", seed, rounds: 3_000) { random in
            var rule = CompactionRule(newest: NewestOffsets(limit: 1 << 16), tombstonesBefore: 2_000)
            var made: CompactedChunk?
            var base: Int64 = 41
            for _ in 0...random.below(3) {
                var bytes = Self.chunk(at: base, &random)
                if random.chance(70) {
                    bytes = bytes.damaged(by: Self.chunk(at: base, &random), &random)
                    bytes.sealChunk()
                }
                guard let header = Self.read(bytes), let next = Self.compacted(bytes, header, &rule) else { continue }
                base = header.endOffset
                if made?.take(next) != true { made = next }
            }
            guard let made else { return }
            let bytes = made.sealed()
            let header = try #require(Self.read(bytes))
            #expect(bytes.count <= made.size && header.endOffset == made.endOffset)
            try bytes.withUnsafeBytes { chunk in
                Self.walk(chunk, header, &random)
                _ = try ChunkLayout.entries(header, in: chunk)
                try ChunkLayout.forEachRecord(header, in: chunk) { _, _ in }
            }
        }
    }

    private static func compacted(
        _ bytes: [UInt8],
        _ header: ChunkLayout.Header,
        _ rule: inout CompactionRule
    ) -> CompactedChunk? {
        bytes.withUnsafeBytes { bytes in
            guard (try? ChunkLayout.forEachRecord(header, in: bytes) { record, _ in rule.note(record) }) != nil else {
                return nil
            }
            return try? CompactedChunk(bytes, header, uid: uid, rule: rule)
        }
    }

    /// A chunk of records, of which some may be gone, and of producers.
    private static func chunk(at base: Int64 = 41, _ random: inout SeededRandom) -> [UInt8] {
        var deltas: [UInt32] = []
        let span = random.below(6) + 1
        let isWhole = random.chance(50)
        for delta in 0..<span where isWhole || random.chance(60) { deltas.append(UInt32(delta)) }
        let records = deltas.flatMap { _ in Sample.record(&random) }
        var header = ChunkLayout.Header(
            count: deltas.count,
            baseOffset: base,
            maximumTimestamp: 5,
            size: records.count,
            span: span
        )
        header.producers = random.below(3)
        header.isTransient = random.chance(10)
        var bytes = [UInt8](repeating: 0, count: header.chunkSize)
        bytes.replaceSubrange(header.records, with: records)
        bytes.withUnsafeMutableBytes { chunk in
            if header.count < span { ChunkLayout.put(deltas: deltas, header, into: chunk) }
            for index in 0..<header.producers {
                let first = Int32(random.below(1_000))
                let (delta, count) = (random.below(span), random.below(3))
                let entry = ProducerEntry(
                    producer: Int64(random.below(3)),
                    epoch: Int32(random.below(3)),
                    sequences: first...first + Int32(random.below(9)),
                    delta: UInt32(delta),
                    count: UInt32(min(count, span - delta))
                )
                entry.put(into: chunk, at: header.entries.lowerBound + index * ProducerEntry.size)
            }
            ChunkLayout.seal(chunk, header: header, uid: uid)
        }
        return bytes
    }

    private static func read(_ bytes: [UInt8]) -> ChunkLayout.Header? {
        bytes.withUnsafeBytes { bytes in
            guard let header = try? ChunkLayout.header(of: bytes) else { return nil }
            return (try? ChunkLayout.verify(bytes, uid: uid)).map { header }
        }
    }
}

extension [UInt8] {
    /// Makes the first eight bytes the checksum of those behind them.
    fileprivate mutating func sealChunk() {
        guard count >= 8 else { return }
        let sum = withUnsafeBytes { Checksum.xxh64(UnsafeRawBufferPointer(rebasing: $0[8...]), seed: 7) }
        withUnsafeMutableBytes { $0.storeBytes(of: sum.littleEndian, as: UInt64.self) }
    }
}
