import Ratchet
import Seeds
import Testing

@testable import RatchetBroker

/// What a compacted partition should hold, and a reader that goes through it meanwhile.
private struct CompactionModel {
    struct Record: Equatable {
        var offset: Int64
        var key: String
        var value: String
        var timestamp: Int64
    }

    static let deleteRetention: Int64 = 5000

    /// What is there, in order.
    var records: [Record] = []
    var end: Int64 = 0
    /// Where the newest chunk begins.
    var lastChunk: Int64 = 0
    /// The reader's next offset, and where it has seen each key last.
    var position: Int64 = 0
    var seen: [String: Int64] = [:]

    mutating func send(_ sent: [(key: String, value: String)], now: Int64) {
        lastChunk = end
        for (key, value) in sent {
            records.append(Record(offset: end, key: key, value: value, timestamp: now))
            end += 1
        }
    }

    mutating func compact(now: Int64) {
        var newest: [String: Int64] = [:]
        for record in records where record.offset < lastChunk { newest[record.key] = record.offset }
        records.removeAll { record in
            guard record.offset < lastChunk else { return false }
            return record.offset < newest[record.key] ?? 0
                || record.value.isEmpty && record.timestamp < now - Self.deleteRetention
        }
    }
}

@Suite("Compaction against a model", .timeLimit(.minutes(30)))
struct CompactionModelTests {
    private static let partition = TopicPartition("t", 0)

    private static func read(_ broker: Broker, from offset: Int64, limit: Int) async throws -> [CompactionModel.Record]
    {
        var found: [CompactionModel.Record] = []
        for try await batch in try broker.read(partition, from: offset, maximumMessages: 3) {
            for index in 0..<batch.count where found.count < limit {
                let (message, key) = (batch[index], String(decoding: batch[index].key ?? [], as: UTF8.self))
                found.append(.init(offset: message.offset, key: key, value: message.text, timestamp: message.timestamp))
            }
            if found.count == limit { break }
        }
        return found
    }

    /// Ends a compaction somewhere: what is there is in order, all of it was there before, and nothing is missing that a
    /// whole one would have left.
    private static func interrupt(_ broker: Broker, _ model: inout CompactionModel, now: Int64, _ seed: Seed)
        async throws
    {
        await withTaskGroup { group in
            group.addTask { try? await broker.compact("t") }
            group.cancelAll()
        }
        let found = try await read(broker, from: 0, limit: .max)
        let before = model.records
        model.compact(now: now)
        #expect(found == before.filter { found.contains($0) }, "\(seed)")
        #expect(model.records == found.filter { model.records.contains($0) }, "\(seed)")
        model.records = found
    }

    @Test(
        "After any sends, compactions, interruptions and restarts a reader sees the newest of each key, in order",
        arguments: Seed.some(20)
    )
    func model(seed: Seed) async throws {
        var random = seed.random
        let (directory, wall) = (try TemporaryDirectory(), ManualWallClock())
        var configuration = Broker.Configuration.quiet
        configuration.isDurable = false
        configuration.time.wall = wall.read
        configuration.compactionMemory = [1, 500, 1 << 20][random.below(3)]
        var broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic(
            "t",
            cleanup: .compact,
            deleteRetention: .milliseconds(CompactionModel.deleteRetention)
        )
        var model = CompactionModel()
        for step in 0..<80 {
            switch random.below(20) {
            case 0..<11:
                let sent = (0...random.below(6)).map { number in
                    (key: "k\(random.below(7))", value: random.chance(20) ? "" : "\(step).\(number)")
                }
                let _: [RecordMetadata] = try await broker.send(sent.map { .text($0.value, to: "t", key: $0.key) })
                model.send(sent, now: wall.read())
            case 11..<14:
                try await broker.compact("t")
                model.compact(now: wall.read())
                #expect(try await Self.read(broker, from: 0, limit: .max) == model.records, "\(seed), step \(step)")
            case 14: try await Self.interrupt(broker, &model, now: wall.read(), seed)
            case 15:
                try await broker.close()
                broker = try await Broker(at: directory.broker, configuration: configuration)
            case 16: wall.advance(by: .milliseconds(random.below(4000)))
            default:
                let found = try await Self.read(broker, from: model.position, limit: random.below(5) + 1)
                for record in found {
                    #expect(model.seen[record.key] ?? -1 < record.offset, "\(seed): an older one after a newer one")
                    model.seen[record.key] = record.offset
                }
                model.position = found.last.map { $0.offset + 1 } ?? model.position
            }
            #expect(try broker.describe("t").partitions[0].log == 0..<model.end, "\(seed), step \(step)")
        }
        #expect(try await Self.read(broker, from: 0, limit: .max) == model.records, "\(seed)")
        try await broker.close()
    }
}
