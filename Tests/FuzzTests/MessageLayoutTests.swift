import Seeds
import Testing

@testable import Ratchet
@testable import RatchetBroker

@Suite("Fuzzing: messages", .fuzzing)
struct MessageLayoutTests {
    @Test("Bytes that are no messages are refused, or read within their bounds", arguments: Seed.some(1))
    func records(seed: Seed) async throws {
        try await Fuzz.run("records", seed, rounds: 5_000) { random in
            let count = random.below(6) + 1
            let whole = (0..<count).flatMap { _ in Sample.record(&random) }
            let bytes = whole.damaged(by: Sample.record(&random), &random)
            if let batch = Self.batch(of: bytes, count: random.chance(90) ? count : random.below(1 << 16)) {
                #expect(Self.size(of: batch) <= bytes.count)
            }
            let start = random.below(bytes.count + 2) - 1
            if let parts = try? bytes.withUnsafeBytes({ try RecordLayout.parts(of: $0, at: start) }) {
                #expect(parts.end <= bytes.count && parts.payload.upperBound == parts.end)
            }
        }
    }

    @Test("Bytes that are no headers are refused, or read within their bounds", arguments: Seed.some(1))
    func headers(seed: Seed) async throws {
        try await Fuzz.run("headers", seed, rounds: 10_000) { random in
            let record = Sample.record(&random)
            let parts = try record.withUnsafeBytes { try RecordLayout.parts(of: $0, at: 0) }
            let bytes = Array(record[parts.headers]).damaged(by: random.bytes(12), &random)
            var size = 0
            let isWhole = bytes.withUnsafeBytes { bytes in
                RecordLayout.forEachHeader(in: bytes) { name, value in
                    size += RecordLayout.headerFixedSize + name.count + value.count
                    return true
                }
            }
            #expect(isWhole ? size == bytes.count : size < bytes.count)
        }
    }

    @Test("A changed chunk of the log is not believed; lengths that lie lead nowhere", arguments: Seed.some(1))
    func chunk(seed: Seed) async throws {
        try await Fuzz.run("chunk", seed, rounds: 5_000) { random in
            let (whole, other) = (Self.chunk(&random), Self.chunk(&random))
            var bytes = whole.damaged(by: other, &random)
            #expect((Self.read(bytes) != nil) == (bytes == whole || bytes == other))
            guard bytes.count >= 8 else { return }
            let sum = bytes.withUnsafeBytes { Checksum.xxh64(UnsafeRawBufferPointer(rebasing: $0[8...]), seed: 7) }
            bytes.withUnsafeMutableBytes { $0.storeBytes(of: sum.littleEndian, as: UInt64.self) }
            guard let header = Self.read(bytes) else { return }
            #expect(header.endOffset > header.baseOffset && header.chunkSize == bytes.count)
            let records = Array(bytes[header.records])
            if let batch = Self.batch(of: records, count: min(header.count, 500)) {
                #expect(Self.size(of: batch) <= records.count)
            }
        }
    }

    @Test("Rows of the broker are refused, or within their bounds", arguments: Seed.some(1))
    func rows(seed: Seed) async throws {
        try await Fuzz.run("broker-rows", seed, rounds: 10_000) { random in
            let id = random.bytes(16)
            let topic = TopicRow(id: id, uids: [3, 4, 5, 9], settings: TopicSettings(partitions: 4)).encoded
            let bytes = topic.damaged(by: random.bytes(48), &random)
            if let row = try? bytes.withUnsafeBytes({ try TopicRow($0, name: "t") }) {
                #expect(1...TopicSettings.maximumPartitions ~= row.settings.partitions)
                #expect(row.uids.count == row.settings.partitions)
                let again = try row.encoded.withUnsafeBytes { try TopicRow($0, name: "t") }
                #expect(again == row)
            }
            let partition = PartitionRow().withBytes { Array($0) }.damaged(by: random.bytes(24), &random)
            if let row = try? partition.withUnsafeBytes({ try PartitionRow($0, uid: 1) }) {
                // Room for all that may ever be appended.
                #expect(row.end.addingReportingOverflow(1 << 48).overflow == false)
                #expect(row.bytes.addingReportingOverflow(1 << 48).overflow == false)
            }
            let key = LogKey(1, 2).withBytes { Array($0) }.damaged(by: random.bytes(12), &random)
            if let read = key.withUnsafeBytes({ LogKey($0) }) { #expect(read.withBytes { Array($0) } == key) }
        }
    }

    private static func chunk(_ random: inout SeededRandom) -> [UInt8] {
        let count = random.below(5) + 1
        let records = (0..<count).flatMap { _ in Sample.record(&random) }
        let header = ChunkLayout.Header(count: count, baseOffset: 41, maximumTimestamp: 5, size: records.count)
        var bytes = [UInt8](repeating: 0, count: ChunkLayout.headerSize) + records
        bytes.withUnsafeMutableBytes { ChunkLayout.seal($0, header: header, uid: 7) }
        return bytes
    }

    private static func read(_ bytes: [UInt8]) -> ChunkLayout.Header? {
        bytes.withUnsafeBytes { bytes in
            guard let header = try? ChunkLayout.header(of: bytes) else { return nil }
            return (try? ChunkLayout.verify(bytes, uid: 7)).map { header }
        }
    }

    private static func batch(of bytes: [UInt8], count: Int) -> MessageBatch? {
        try? MessageBatch(
            partition: TopicPartition("t", 0),
            generation: 1,
            startOffset: 0,
            count: count,
            byteCount: bytes.count
        ) { storage, offsets in
            storage.copyBytes(from: bytes)
            for index in 0..<count { offsets[index] = Int64(index) }
        }
    }

    private static func size(of batch: MessageBatch) -> Int {
        (0..<batch.count).reduce(0) { size, index in
            let message = batch[index]
            _ = (message.header("h1"), message.timestamp, batch.digest(at: index))
            return size + RecordLayout.fixedSize + (message.key?.count ?? 0) + message.payload.count
                + message.headers.reduce(0) { $0 + RecordLayout.headerFixedSize + $1.value.count }
        }
    }
}
