import Seeds
import Testing

@testable import Ratchet

@Suite("Message batch")
struct MessageBatchTests {
    private static func samples(_ random: inout SeededRandom) -> [SampleMessage] {
        var offset = Int64(random.below(5))
        return (0..<random.below(20) + 1).map { _ in
            var sample = SampleMessage(offset)
            sample.key = random.chance(70) ? random.bytes(random.below(20) + 1) : nil
            sample.headers = (0..<random.below(4)).map { _ in
                Header("h\(random.below(3))", random.bytes(random.below(9)))
            }
            sample.payload = random.bytes(random.below(40))
            sample.timestamp = Int64(random.below(1 << 40))
            offset += Int64(random.below(3)) + 1
            return sample
        }
    }

    @Test("Messages are read as they were written", arguments: Seed.some(100))
    func roundTrip(seed: Seed) throws {
        var random = seed.random
        let samples = Self.samples(&random)
        let batch = try MessageBatch(samples, generation: 3, start: 0)
        #expect(batch.count == samples.count)
        #expect(batch.lastOffset == samples.last?.offset)
        for (index, sample) in samples.enumerated() {
            let message = batch[index]
            #expect(message.offset == sample.offset)
            #expect(message.key == sample.key)
            #expect(message.payload == sample.payload)
            #expect(message.headers == sample.headers)
            #expect(message.timestamp == sample.timestamp)
            #expect(message.generation == 3)
            let wanted = sample.headers.first { $0.name == "h1" }
            #expect(message.header("h1") == wanted?.value)
            message.withPayload { #expect($0.byteCount == sample.payload.count) }
            message.withKey { #expect($0?.byteCount == sample.key?.count) }
        }
    }

    @Test("Covered offsets lie side by side, holes included", arguments: Seed.some(50))
    func coveredOffsets(seed: Seed) throws {
        var random = seed.random
        let samples = Self.samples(&random)
        let batch = try MessageBatch(samples, start: 0)
        var end: Int64 = 0
        for index in samples.indices {
            let covered = batch.coveredOffsets(at: index)
            #expect(covered.lowerBound == end)
            #expect(covered.upperBound == samples[index].offset + 1)
            end = covered.upperBound
        }
    }

    @Test("A digest tells records apart by every part and by their offset")
    func digests() throws {
        let plain = SampleMessage(4, key: "k", id: "1", "p")
        var others = [plain, plain, plain, plain, plain, plain]
        others[1].key = nil
        others[2].payload = []
        others[3].headers = []
        others[4].timestamp += 1
        others[5].offset = 5
        let digests = try others.map { try MessageBatch([$0], start: 0).digest(at: 0) }
        #expect(Set(digests).count == others.count)
        #expect(try MessageBatch([SampleMessage(1), plain], start: 0).digest(at: 1) == digests[0])
    }

    @Test("Offsets that do not rise, or begin before the read, are refused")
    func offsets() {
        for offsets: [Int64] in [[3, 3], [3, 2], [1]] {
            #expect(throws: MessageError.self) { try MessageBatch(offsets.map { SampleMessage($0) }, start: 2) }
        }
    }

    @Test("A batch of none, or of more than its bytes hold, is refused", arguments: [-1, 0, 3, 1 << 20])
    func counts(count: Int) {
        let bytes = SampleMessage(0).record + SampleMessage(1).record
        #expect(throws: MessageError.self) { try MessageBatch(bytes: bytes, count: count) }
    }

    @Test("Bytes that are no messages are refused or harmless", arguments: Seed.some(50))
    func malformed(seed: Seed) throws {
        var random = seed.random
        let samples = Self.samples(&random)
        let whole = samples.flatMap(\.record)
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0..<random.below(4) + 1 {
                bytes[random.below(bytes.count)] = random.chance(50) ? 0xff : UInt8.random(in: 0...255, using: &random)
            }
            if random.chance(20) { bytes.removeLast(random.below(bytes.count)) }
            guard let batch = try? MessageBatch(bytes: bytes, count: samples.count) else { continue }
            var size = 0
            for index in 0..<batch.count {
                let message = batch[index]
                size += RecordLayout.fixedSize + (message.key?.count ?? 0) + message.payload.count
                size += message.headers.reduce(0) { $0 + RecordLayout.headerFixedSize + $1.value.count }
            }
            #expect(size <= bytes.count)
        }
    }

    @Test("A length that lies is refused before it is followed")
    func lengths() {
        let record = SampleMessage(0, key: "key", id: "1", "payload").record
        for at in [0, 4, 8, 12] {
            for lie in [Int32.max, .min, -2, 1_000_000] {
                var bytes = record
                bytes.withUnsafeMutableBytes { $0.storeBytes(of: lie.littleEndian, toByteOffset: at, as: Int32.self) }
                #expect(throws: MessageError.self) { try MessageBatch(bytes: bytes, count: 1) }
            }
        }
    }
}
