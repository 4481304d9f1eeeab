import LMDB
import Logging
import Seeds
import Testing

@testable import Ratchet

@Suite("Fuzzing: a ledger's files", .fuzzing)
struct StoredLedgerTests {
    private static let counts = StateTable<String, Int>("counts")
    private static let key = PositionLayout.key(cluster: "c", topic: "orders", partition: 0, group: "billing")
    private static let partition = TopicPartition("orders", 0)

    private static func open(_ path: String) throws -> Ledger {
        var configuration = Ledger.Configuration()
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configuration.isDurable = false
        configuration.mapSize = 64 << 20
        configuration.quota = 64 << 20
        return try Ledger(at: path, configuration: configuration)
    }

    private static func keys(_ range: Range<Int>) throws -> KeyBatch {
        var batch = KeyBatch()
        for number in range { try batch.append("order-\(number)") }
        return batch
    }

    private static func make(at path: String, _ random: inout SeededRandom) async throws -> StoredRows {
        let ledger = try open(path)
        try await ledger.bind(to: "billing")
        for start in 0..<3 { _ = try await ledger.remember(keys(start * 4..<start * 4 + 4)) }
        _ = try await ledger.lease(key, of: partition, generation: 3, slot: 1, startingAt: 7, restart: false)
        try await ledger.write { try $0.put(counts, "a", 1) }
        await ledger.close()
        let integers = ["journal", "outbox", "deadletters"].map { (name: $0, keys: KeyOrder.integers) }
        let texts = ["meta", "positions", "state/counts"].map { (name: $0, keys: KeyOrder.bytes) }
        let stored = try StoredRows(at: path, integers + texts)
        var rows = stored.rows
        for number in 1...2 as ClosedRange<UInt64> {
            let key = withUnsafeBytes(of: number) { Array($0) }
            let letter = DeadLetterLayout.encode(try Sample.deadLetter(&random, id: number))
            rows.append(.init(table: "deadletters", keys: .integers, key: key, value: letter))
            let entry = try Sample.outboxEntry(&random, as: number)
            rows.append(.init(table: "outbox", keys: .integers, key: key, value: entry))
        }
        try stored.write(rows)
        return try StoredRows(at: path, integers + texts)
    }

    @Test("A damaged row is reported or harmless; no key is new that was remembered", arguments: Seed.some(1))
    func rows(seed: Seed) async throws {
        let scratch = try Scratch()
        var random = seed.random
        let stored = try await Self.make(at: scratch.path("ledger"), &random)
        try await Fuzz.run("ledger-files", seed, rounds: 150) { random in
            let (rows, changed) = stored.damaged(&random)
            try stored.write(rows)
            let ledger: Ledger
            do { ledger = try Self.open(stored.path) } catch {
                #expect(rows != stored.rows, "\(error)")
                return
            }
            // What has a checksum is believed only if it is what was written.
            if rows[changed].table == "journal" { #expect(rows == stored.rows) }
            try await Self.use(ledger, changed: rows[changed])
            await ledger.close()
        }
    }

    @Test("A changed byte of what a ledger believes without a second source is reported at its opening")
    func meta() async throws {
        let scratch = try Scratch()
        var random = SeededRandom(state: 1)
        let stored = try await Self.make(at: scratch.path("ledger"), &random)
        for name in ["clock", "ledger", "secret", "totals"] {
            let at = try #require(stored.rows.firstIndex { $0.key == Array(name.utf8) })
            for byte in stored.rows[at].value.indices {
                var rows = stored.rows
                rows[at].value[byte] ^= 1 << 6
                try stored.write(rows)
                #expect(throws: CorruptionError.self, "byte \(byte) of \(name)") { try Self.open(stored.path) }
            }
        }
        try stored.write(stored.rows)
        await (try Self.open(stored.path)).close()
    }

    @Test("A row that is gone, or has another one's bytes, is reported at the opening")
    func rowsOfOthers() async throws {
        let scratch = try Scratch()
        var random = SeededRandom(state: 2)
        let stored = try await Self.make(at: scratch.path("ledger"), &random)
        func index(of name: String) throws -> Int {
            try #require(stored.rows.firstIndex { $0.key == Array(name.utf8) })
        }
        for (name, other) in [("secret", "ledger"), ("ledger", "secret"), ("clock", "ledger")] {
            var rows = stored.rows
            rows[try index(of: name)].value = rows[try index(of: other)].value
            try stored.write(rows)
            #expect(throws: CorruptionError.self, "\(other) as \(name)") { try Self.open(stored.path) }
        }
        for name in ["clock", "ledger", "secret"] {
            var rows = stored.rows
            rows.remove(at: try index(of: name))
            try stored.write(rows)
            #expect(throws: CorruptionError.self, "without \(name)") { try Self.open(stored.path) }
        }
    }

    private static func use(_ ledger: Ledger, changed: StoredRows.Row) async throws {
        if let isNew = try? await ledger.remember(keys(0..<14)) {
            #expect(isNew == Array(repeating: false, count: 12) + [true, true], "\(changed)")
        }
        _ = try? ledger.totals()
        _ = try? ledger.reader.deadLetters()
        _ = try? ledger.reader.get(counts, "a")
        if let items = try? ledger.outbox.scan(from: 0, messages: 100) { _ = try? ledger.outbox.read(items) }
        if let position = try? await ledger.position(key) { #expect(position == OffsetTracker(watermark: 7)) }
        _ = try? await ledger.lease(key, of: partition, generation: 4, slot: 1, startingAt: 9, restart: true)
        _ = try? await ledger.bind(to: "billing")
    }
}
