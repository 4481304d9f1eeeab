import LMDB
import Testing

@testable import Ratchet

@Suite("Ledger: opening")
struct LedgerOpeningTests {
    private static func open(_ path: String) throws -> Ledger { try Ledger(at: path, configuration: .quick) }

    private static func code(of path: String) -> LedgerError.Code? {
        #expect(throws: LedgerError.self) { try open(path) }?.code
    }

    @Test("Its id stays, each opening has an epoch of its own")
    func identity() async throws {
        let scratch = try ScratchFolder()
        var ids: Set<String> = []
        var epochs: Set<String> = []
        for _ in 0..<3 {
            let ledger = try Self.open(scratch("ledger"))
            ids.insert(ledger.id)
            epochs.insert(ledger.epoch)
            #expect(CommitMetadata(CommitMetadata(ledger: ledger.id, epoch: ledger.epoch).description) != nil)
            await ledger.close()
        }
        #expect(ids.count == 1)
        #expect(epochs.count == 3)
        let other = try Self.open(scratch("other"))
        #expect(!ids.contains(other.id))
        await other.close()
    }

    @Test("Everything is there after reopening")
    func keepsEverything() async throws {
        let scratch = try ScratchFolder()
        var ledger = try Self.open(scratch("ledger"))
        try await ledger.bind(to: "billing")
        let driver = try await SettlementDriver(ledger)
        var handler = ScriptedHandler()
        let count = handler.body
        handler.body = { entry, transaction in
            try count(entry, transaction)
            try transaction.publish(OutgoingMessage(to: "receipts", payload: [UInt8(entry.offset)]))
        }
        try await driver.settle(
            (0..<5).map { SampleMessage($0, id: "id\($0)") } + [SampleMessage(5, "no id")],
            with: handler
        )
        let (totals, letters) = (try ledger.totals(), try ledger.reader.deadLetters())
        await ledger.close()
        ledger = try Self.open(scratch("ledger"))
        #expect(try ledger.totals() == totals)
        #expect(totals.processed == 5 && totals.published == 5 && totals.deadLettered == 1)
        #expect(try ledger.reader.deadLetters() == letters)
        #expect(try ledger.reader.outboxCount() == 1)
        #expect(try await ledger.position(SettlementDriver.key(0))?.watermark == 6)
        #expect(ledger.journal.count == 6)
        let again = try await SettlementDriver(ledger, generation: 2)
        #expect(
            try await again.settle([SampleMessage(6, id: "id3"), SampleMessage(7, "no id")], with: handler).names
                == ["duplicate", "duplicate"]
        )
        #expect(try ledger.reader.deadLetters().first?.deliveryCount == 1)
        #expect(
            try await again.settle([SampleMessage(8, id: "new"), SampleMessage(9, "neither")], with: handler).names
                == ["processed", "deadLettered"]
        )
        #expect(try ledger.reader.outboxCount() == 2)
        #expect(try ledger.reader.deadLetterCount() == 2)
        await ledger.close()
    }

    @Test("It belongs to one group")
    func group() async throws {
        let scratch = try ScratchFolder()
        var ledger = try Self.open(scratch("ledger"))
        try await ledger.bind(to: "billing")
        try await ledger.bind(to: "billing")
        await ledger.close()
        ledger = try Self.open(scratch("ledger"))
        let error = await #expect(throws: LedgerError.self) { try await ledger.bind(to: "shipping") }
        #expect(error?.code == .otherGroup)
        await ledger.close()
    }

    @Test("One process has it open once, and one process at a time")
    func inUse() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.open(scratch("ledger"))
        #expect(Self.code(of: scratch("ledger")) == .inUse)
        #expect(Self.code(of: scratch("ledger/../ledger")) == .inUse)
        await ledger.close()
        // The lock that another process holds while it has the ledger open.
        let other = try OwnerFile(in: scratch("ledger"))
        #expect(Self.code(of: scratch("ledger")) == .inUse)
        other.release()
        await (try Self.open(scratch("ledger"))).close()
    }

    @Test("What is no ledger is left alone")
    func notALedger() throws {
        let scratch = try ScratchFolder()
        try scratch.write([1, 2, 3], to: "file")
        #expect(Self.code(of: scratch("file")) == .notALedger)
        try scratch.makeFolder("folder")
        try scratch.write([1, 2, 3], to: "folder/notes.txt")
        #expect(Self.code(of: scratch("folder")) == .notALedger)
        try scratch.makeFolder("strange")
        try scratch.write([UInt8](repeating: 7, count: 20_000), to: "strange/data.mdb")
        #expect(Self.code(of: scratch("strange")) == .notALedger)
        try Environment.open(at: scratch("environment")).close()
        #expect(Self.code(of: scratch("environment")) == .notALedger)
        for name in ["file", "folder", "environment", "nothing"] {
            let error = #expect(throws: LedgerError.self) { try LedgerReader(at: scratch(name)) }
            #expect(error?.code == .notALedger, "\(name)")
        }
    }

    @Test("A version that this library does not know is not touched")
    func unknownVersion() async throws {
        let scratch = try ScratchFolder()
        await (try Self.open(scratch("ledger"))).close()
        var settings = Environment.Configuration()
        settings.mapSize = 1 << 30
        let environment = try Environment.open(at: scratch("ledger"), configuration: settings)
        try environment.write { transaction in
            let meta = try transaction.table("meta", create: true)
            try LedgerMeta.put([9, 0, 0, 0], as: LedgerMeta.version, in: meta, of: transaction)
        }
        environment.close()
        #expect(Self.code(of: scratch("ledger")) == .unknownVersion)
        let error = #expect(throws: LedgerError.self) { try LedgerReader(at: scratch("ledger")) }
        #expect(error?.code == .unknownVersion)
    }

    @Test("A damaged journal is refused, not read as new")
    func damagedJournal() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.open(scratch("ledger"))
        try await SettlementDriver(ledger).settle([SampleMessage(0, id: "a")])
        await ledger.close()
        var settings = Environment.Configuration()
        settings.mapSize = 1 << 30
        let environment = try Environment.open(at: scratch("ledger"), configuration: settings)
        try environment.write { transaction in
            let journal = try transaction.table("journal", keys: .integers, create: true)
            var bytes = try #require(try transaction.get(1, in: journal).map { Array($0) })
            bytes[bytes.count / 2] ^= 1
            _ = try bytes.withUnsafeBytes { try transaction.put($0, for: 1, in: journal) }
        }
        environment.close()
        #expect(throws: CorruptionError.self) { try Self.open(scratch("ledger")) }
    }

    @Test("A reader sees what is committed, page after page")
    func reader() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.open(scratch("ledger"))
        let table = StateTable<Int, String>("numbers")
        let documents = StateTable<String, [String: Int]>(json: "documents")
        try await ledger.write { transaction in
            for number in 0..<2500 { try transaction.put(table, number, "n\(number)") }
            try transaction.put(documents, "d", ["a": 1])
        }
        await ledger.close()
        let reader = try LedgerReader(at: scratch("ledger"))
        var seen: [Int: String] = [:]
        try reader.forEach(in: table) { seen[$0] = $1 }
        #expect(seen.count == 2500)
        #expect(seen.allSatisfy { $1 == "n\($0)" })
        #expect(try reader.count(table) == 2500)
        #expect(try reader.get(documents, "d") == ["a": 1])
        #expect(try reader.get(documents, "e") == nil)
        #expect(try reader.count(StateTable<String, Int>("absent")) == 0)
        #expect(try reader.totals().processed == 0)
        reader.close()
    }
}
