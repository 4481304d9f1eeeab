import Seeds
import Testing

@testable import Ratchet

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

    static func batch(of bytes: [UInt8], count: Int) -> MessageBatch? {
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

    static func size(of batch: MessageBatch) -> Int {
        (0..<batch.count).reduce(0) { size, index in
            let message = batch[index]
            _ = (message.header("h1"), message.timestamp, batch.digest(at: index))
            return size + RecordLayout.fixedSize + (message.key?.count ?? 0) + message.payload.count
                + message.headers.reduce(0) { $0 + RecordLayout.headerFixedSize + $1.value.count }
        }
    }
}
