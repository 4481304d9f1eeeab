import LMDB
import Logging
import Ratchet
import Seeds
import Testing

@testable import RatchetBroker

/// What is decided and not in its log yet, damaged before its checksum is made: what a row says is to be bounded by itself.
@Suite("Fuzzing: what is decided", .fuzzing)
struct RedoRowTests {
    private static func batch(_ random: inout SeededRandom) throws -> OutgoingBatch {
        var messages: [OutgoingMessage] = []
        for _ in 0...random.below(3) {
            messages.append(OutgoingMessage(to: "t", payload: random.bytes(random.below(40)), partition: 0))
        }
        return try OutgoingBatch(messages)
    }

    /// A row of these messages, as ``RedoTable`` describes it.
    private static func row(of batch: OutgoingBatch, uid: UInt32) -> [UInt8] {
        var row: [UInt8] = []
        row.appendLittleEndian(uid)
        row.appendLittleEndian(UInt32(batch.count))
        row.appendLittleEndian(Int32(0))
        row.appendLittleEndian(UInt32(0))
        row.appendLittleEndian(Int64(1))
        row.appendLittleEndian(Int64(-1))
        return row + batch.bytes
    }

    @Test("Rows of what is decided are refused, or have as many whole messages as they say", arguments: Seed.some(1))
    func rows(seed: Seed) async throws {
        let scratch = try Scratch()
        var configuration = Broker.Configuration()
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configuration.isDurable = false
        configuration.maximumBytes = 64 << 20
        let broker = try await Broker(at: scratch.path("broker"), configuration: configuration)
        try await broker.createTopic("t")
        let (tables, catalog) = (broker.storage.tables, broker.catalog)
        let log = try #require(catalog["t"]?.logs[0])
        let key = RedoKey(3, 0)
        try await Fuzz.run("redo-rows", seed, rounds: 500) { random in
            let whole = Self.row(of: try Self.batch(&random), uid: log.uid)
            let value = whole.damaged(by: Self.row(of: try Self.batch(&random), uid: log.uid), &random)
            try await broker.storage.write { try $0.putSealed(value, for: key.bytes, in: tables.redo) }
            let found = try? broker.storage.read { transaction in
                try RedoTable.all(in: transaction, tables) { $0 == log.uid ? log : nil }
            }
            guard let part = found?.parts.first else {
                #expect(value != whole)
                return
            }
            let slice = part.content.part.slice.records
            var (at, count) = (0, 0)
            while at < slice.count {
                at = try RecordLayout.parts(of: slice, at: at).end
                count += 1
            }
            #expect(count == part.content.part.count && at == slice.count)
        }
        try await broker.storage.write { try RedoTable.remove([key], in: $0, tables) }
        try await broker.close()
    }
}
