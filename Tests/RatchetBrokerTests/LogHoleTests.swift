import LMDB
import Ratchet
import Seeds
import Testing

@testable import RatchetBroker

@Suite("Records that are gone from the middle of a log")
struct LogHoleTests {
    /// A chunk of `span` offsets from `base` on that still holds the records at `offsets`, each with its offset as text.
    private static func chunk(base: Int64, span: Int, offsets: [Int64], uid: UInt32) -> [UInt8] {
        var records: [UInt8] = []
        for offset in offsets {
            Array("\(offset)".utf8).withUnsafeBytes {
                records.appendRecord(key: nil, headers: [], payload: $0, timestamp: 1)
            }
        }
        let header = ChunkLayout.Header(
            count: offsets.count,
            baseOffset: base,
            maximumTimestamp: 1,
            size: records.count,
            span: span
        )
        var bytes = [UInt8](repeating: 0, count: header.chunkSize)
        bytes.replaceSubrange(header.records, with: records)
        bytes.withUnsafeMutableBytes { bytes in
            if offsets.count < span {
                ChunkLayout.put(deltas: offsets.map { UInt32($0 - base) }, header, into: bytes)
            }
            ChunkLayout.seal(bytes, header: header, uid: uid)
        }
        return bytes
    }

    /// A broker whose topic `t` has holes, and the offsets of the records that are left.
    private static func holed(_ seed: Seed) async throws -> (broker: Broker, log: PartitionLog, kept: [Int64]) {
        var random = seed.random
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        let log = try #require(broker.catalog.log(of: TopicPartition("t", 0)))
        var (end, kept, chunks): (Int64, [Int64], [(Int64, [UInt8])]) = (0, [], [])
        for _ in 0..<random.below(40) + 1 {
            let span = random.below(6) + 1
            let offsets = (end..<end + Int64(span)).filter { _ in random.below(3) > 0 }
            chunks.append((end, Self.chunk(base: end, span: span, offsets: offsets, uid: log.uid)))
            kept += offsets
            end += Int64(span)
        }
        let (tables, written, last) = (broker.storage.tables, chunks, end)
        _ = try await broker.storage.write { transaction in
            for (offset, chunk) in written {
                try LogKey(log.uid, offset).withBytes { key in
                    _ = try chunk.withUnsafeBytes { try transaction.put($0, for: key, in: tables.log) }
                }
            }
            var row = PartitionRow()
            row.end = last
            try transaction.put(row, for: log.uid, in: tables)
            return row
        } published: {
            log.publish($0)
        }
        return (broker, log, kept)
    }

    @Test("Consumers of a queue pass over them as well", arguments: Seed.some(20))
    func queue(seed: Seed) async throws {
        let (broker, log, kept) = try await Self.holed(seed)
        var settings = QueueSettings()
        settings.spread = seed.random.state.isMultiple(of: 2) ? 2 : 100
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer(prefetch: 3)
        var seen: [Int64] = []
        while seen.count < kept.count {
            let deliveries = try await consumer.next()
            seen += deliveries.map(\.message.offset)
            try await consumer.ack(deliveries.map(\.tag))
        }
        #expect(seen == kept, "\(seed)")
        try await broker.send(.text("behind", to: "t"))
        #expect(try await consumer.next().map(\.message.offset) == [log.range.upperBound - 1])
        try await broker.close()
    }

    @Test("Reading passes over them, in pieces of any size, and loses and repeats nothing", arguments: Seed.some(20))
    func reading(seed: Seed) async throws {
        let (broker, log, kept) = try await Self.holed(seed)
        let end = log.range.upperBound
        for size in [1, 2, 3, 1000] {
            var read: [Int64] = []
            for try await batch in try broker.read(log.partition, maximumMessages: size) {
                #expect(batch.count <= size)
                for index in 0..<batch.count {
                    let message = batch[index]
                    #expect(message.text == "\(message.offset)")
                    read.append(message.offset)
                }
            }
            #expect(read == kept, "\(seed), \(size) at once")
        }
        for offset in 0..<end {
            let message = try broker.message(at: offset, in: log, generation: 0)
            #expect(message?.offset == (kept.contains(offset) ? offset : nil), "\(seed), offset \(offset)")
        }
        try await broker.close()
    }

    @Test("A chunk says which offsets it covers, and what it says must fit")
    func layout() throws {
        let bytes = Self.chunk(base: 10, span: 5, offsets: [11, 14], uid: 7)
        let header = try bytes.withUnsafeBytes { try ChunkLayout.header(of: $0) }
        #expect(header.endOffset == 15)
        bytes.withUnsafeBytes { bytes in
            #expect((0..<2).map { ChunkLayout.offset(of: $0, header, in: bytes) } == [11, 14])
            #expect((10..<15).map { ChunkLayout.index(atLeast: $0, header, in: bytes) } == [0, 0, 1, 1, 1])
        }
        let empty = Self.chunk(base: 10, span: 5, offsets: [], uid: 7)
        #expect(try empty.withUnsafeBytes { try ChunkLayout.header(of: $0) }.count == 0)
        // More records than offsets, and none of no offset.
        for (count, span) in [(2, 1), (0, 0)] as [(UInt32, UInt32)] {
            var wrong = bytes
            wrong.withUnsafeMutableBytes {
                $0.storeBytes(of: count.littleEndian, toByteOffset: 12, as: UInt32.self)
                $0.storeBytes(of: span.littleEndian, toByteOffset: 40, as: UInt32.self)
            }
            #expect(throws: ChunkLayout.Damage.self) { try wrong.withUnsafeBytes { try ChunkLayout.header(of: $0) } }
        }
    }

    @Test("A chunk keeps what it says of producers, within its bounds")
    func producers() throws {
        let entry = ProducerEntry(producer: 9, epoch: 2, sequences: 5...7, delta: 1, count: 3)
        var header = ChunkLayout.Header(count: 0, baseOffset: 4, maximumTimestamp: 0, size: 0, span: 4)
        header.producers = 1
        var bytes = [UInt8](repeating: 0, count: header.chunkSize)
        bytes.withUnsafeMutableBytes {
            entry.put(into: $0, at: header.entries.lowerBound)
            ChunkLayout.seal($0, header: header, uid: 1)
        }
        try bytes.withUnsafeBytes { bytes in
            let read = try ChunkLayout.header(of: bytes)
            #expect(try ChunkLayout.entries(read, in: bytes) == [entry])
            #expect(ProducerEntry(bytes, at: read.entries.lowerBound, span: 3) == nil)
        }
    }
}
