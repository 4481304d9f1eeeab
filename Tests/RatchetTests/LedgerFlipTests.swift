import LMDB
import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Ledger: flipped bits")
struct LedgerFlipTests {
    @Test("A bit that flips anywhere in a ledger's file is reported, or changes no answer", arguments: Seed.some(1))
    func everywhere(seed: Seed) async throws {
        let scratch = try ScratchFolder()
        try await FlippedLedger.make(at: scratch("ledger"))
        let file = scratch("ledger/data.mdb")
        let report = try await FlippedFile.report(on: file, in: scratch.path, seed: seed, as: "flip.ledger") {
            path,
            seed in
            await #expect(processExitsWith: .success) { [path = path as String, seed = seed as UInt64] in
                let flips = try Flips(in: path, seed: Seed(value: seed))
                try await flips.run(isTyped: FlippedLedger.isTyped) { try await FlippedLedger.content(of: $0) }
            }
        }
        #expect(report.findings == 0, "\(report), \(seed)")
        #expect(report.refused > report.injected / 20, "\(report), \(seed)")
    }
}

/// A small ledger with something in each of its tables.
private enum FlippedLedger {
    private struct Refused: Error {}

    private static let totals = StateTable<Int, [UInt8]>("totals")
    private static let documents = StateTable<String, [Int]>(json: "documents")

    private static func open(_ path: String) throws -> Ledger {
        var configuration = Ledger.Configuration.quick
        configuration.logger = LogRecorder().logger
        // Ids are the same in each process.
        let random = Mutex(SeededRandom(state: 1))
        configuration.random = { random.withLock { $0.next() } }
        return try Ledger(at: path, configuration: configuration)
    }

    static func isTyped(_ error: any Error) -> Bool {
        error is LedgerError || error is CorruptionError || error is LMDBError
    }

    /// Settles messages of two partitions, with state, dead letters and published ones among them.
    static func make(at path: String) async throws {
        let ledger = try open(path)
        try await ledger.bind(to: "billing")
        for partition in 0..<2 {
            let driver = try await SettlementDriver(ledger, partition: partition)
            try await settle(0..<30, driver)
        }
        try await ledger.write { transaction in
            for number in 0..<60 { try transaction.put(totals, number, Array(repeating: 7, count: number % 50)) }
            try transaction.put(documents, "large", Array(0..<900))
        }
        _ = try await ledger.remember(keys(0..<5))
        await ledger.close()
    }

    @discardableResult
    private static func settle(_ offsets: Range<Int64>, _ driver: SettlementDriver) async throws -> [String] {
        let partition = driver.lease.partition.partition
        let handler = ScriptedHandler { entry, transaction in
            if entry.offset % 10 == 9 { throw Refused() }
            if entry.offset % 5 == 0 { try transaction.publish(entry.offset, to: "receipts", key: "a key") }
            try transaction.update(ScriptedHandler.counts, "\(entry.offset % 7)", default: 0) { $0 += 1 }
        } decision: { _, _ in
            .deadLetter
        }
        return try await driver.settle(
            offsets.map { SampleMessage($0, id: "\(partition)-\($0)", "text \($0)") },
            with: handler
        ).names
    }

    private static func keys(_ range: Range<Int>) throws -> KeyBatch {
        var batch = KeyBatch()
        for number in range { try batch.append("request-\(number)") }
        return batch
    }

    /// All that a ledger tells whoever opens it and goes on with it, before and after it is closed once more.
    static func content(of path: String) async throws -> Flips.Content {
        let ledger = try open(path)
        do {
            var content = try await answers(of: ledger)
            content.done.append("\(try await ledger.remember(keys(0..<8)))")
            for partition in 0..<2 {
                let driver = try await SettlementDriver(ledger, partition: partition, generation: 2)
                content.done.append("\(driver.lease.startOffset)")
                // A redelivery, the same events under new offsets, and new ones.
                content.done.append("\(try await settle(25..<36, driver))")
                let again = (0..<4).map { SampleMessage(36 + Int64($0), id: "\(partition)-\($0 * 9)") }
                content.done.append("\(try await driver.settle(again).names)")
            }
            await ledger.close()
            let reopened = try open(path)
            do {
                let after = try await answers(of: reopened)
                await reopened.close()
                return Flips.Content(done: content.done + after.done, rest: content.rest + after.rest)
            } catch {
                await reopened.close()
                throw error
            }
        } catch {
            await ledger.close()
            throw error
        }
    }

    private static func answers(of ledger: Ledger) async throws -> Flips.Content {
        try await ledger.bind(to: "billing")
        var done: [String] = []
        for partition in 0..<3 {
            done.append("\(try await ledger.position(SettlementDriver.key(partition)) as OffsetTracker?)")
        }
        let items = try ledger.outbox.scan(from: 0, messages: 1000)
        let messages = try ledger.outbox.read(items)
        let reader = ledger.reader
        // A new epoch, and what was done since the truth was read, is not the file's.
        let letters = try reader.deadLetters().map { letter in
            "\(letter.id) \(letter.partition) \(letter.offset) \(letter.payload) \(letter.errorType) \(letter.deliveryCount)"
        }
        var state: [String] = []
        try reader.forEach(in: totals) { state.append("\($0) \($1)") }
        try reader.forEach(in: documents) { state.append("\($0) \($1)") }
        try reader.forEach(in: ScriptedHandler.counts) { state.append("\($0) \($1)") }
        for number in 0..<61 { state.append("\(try reader.get(totals, number) as [UInt8]?)") }
        let counts = try [reader.outboxCount(), reader.deadLetterCount(), reader.count(totals), ledger.keyCount]
        return Flips.Content(
            done: done,
            rest: [
                ledger.id, "\(items)", "\(messages.topics) \(messages.bytes)", "\(letters)", "\(state)", "\(counts)",
                "\(try reader.totals())",
            ]
        )
    }
}
