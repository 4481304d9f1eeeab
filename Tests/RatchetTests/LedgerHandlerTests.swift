import Testing

@testable import Ratchet

@Suite("Ledger: handlers that fail")
struct LedgerHandlerTests {
    private struct Failure: Error {}
    private static let names = StateTable<String, String>("names")

    private static func opened(_ scratch: ScratchFolder) throws -> Ledger {
        try Ledger(at: scratch("ledger"), configuration: .quick)
    }

    /// Counts, writes, removes and publishes; messages whose payload is `fail` throw after it.
    private static func failing(_ decision: RetryPolicy.Decision = .retry) -> ScriptedHandler {
        var handler = ScriptedHandler()
        let count = handler.body
        handler.body = { entry, transaction in
            try count(entry, transaction)
            try transaction.put(names, "last", entry.message.text)
            try transaction.put(names, "only \(entry.offset)", "x")
            try transaction.update(names, "last", default: "") { $0 += "!" }
            try transaction.remove(names, "gone")
            try transaction.publish(OutgoingMessage(to: "receipts", key: "k", payload: []))
            if entry.message.text == "fail" { throw Failure() }
        }
        handler.decision = { _, _ in decision }
        return handler
    }

    @Test("A handler that throws undoes its own writes and nobody else's, and its offset stays")
    func undo() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        try await ledger.write { try $0.put(Self.names, "gone", "still here") }
        let driver = try await SettlementDriver(ledger)
        let report = try await driver.settle(
            [SampleMessage(0, key: "a", id: "0", "fail"), SampleMessage(1, key: "b", id: "1", "fine")],
            with: Self.failing()
        )
        #expect(report.names == ["failed", "processed"])
        #expect(report.published == 1)
        #expect(try ledger.reader.get(Self.names, "last") == "fine!")
        #expect(try ledger.reader.get(Self.names, "only 0") == nil)
        #expect(try ledger.reader.get(Self.names, "only 1") == "x")
        #expect(try ledger.reader.get(Self.names, "gone") == nil)
        #expect(try ledger.reader.get(ScriptedHandler.counts, "0") == nil)
        #expect(try await driver.watermark == 0)
        #expect(try ledger.totals().processed == 1)
        await ledger.close()
    }

    @Test("A failure alone leaves everything as it was")
    func undoAll() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        try await ledger.write { transaction in
            try transaction.put(Self.names, "gone", "still here")
            try transaction.put(Self.names, "last", "before")
        }
        let driver = try await SettlementDriver(ledger)
        try await driver.settle([SampleMessage(0, key: "a", id: "0", "fail")], with: Self.failing())
        #expect(try ledger.reader.get(Self.names, "gone") == "still here")
        #expect(try ledger.reader.get(Self.names, "last") == "before")
        #expect(try ledger.reader.count(Self.names) == 2)
        #expect(try ledger.reader.outboxCount() == 0)
        #expect(ledger.journal.count == 0)
        await ledger.close()
    }

    @Test("Later messages of a failed one's key wait behind it, in the same piece and in the next")
    func deferral() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        let entries = try driver.entries([
            SampleMessage(0, key: "a", id: "0", "fail"), SampleMessage(1, key: "a", id: "1"),
            SampleMessage(2, key: "b", id: "2"),
            SampleMessage(3, key: "a", id: "3"),
        ])
        let first = try await driver.settle(Array(entries[..<3]), with: Self.failing())
        #expect(first.names == ["failed", "deferred", "processed"])
        #expect(try await driver.settle([entries[3]]).names == ["deferred"])
        var again = entries
        again[0].opensLane = true
        #expect(try await driver.settle(again).names == ["processed", "processed", "redelivered", "processed"])
        #expect(try await driver.watermark == 4)
        #expect(ledger.journal.count == 4)
        await ledger.close()
    }

    @Test("A dead letter is written in the transaction that moves the offset; later deliveries are attached to it")
    func deadLetter() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        let sample = SampleMessage(4, key: "a", id: "0", "fail")
        #expect(try await driver.settle([sample], start: 0, with: Self.failing(.deadLetter)).names == ["deadLettered"])
        #expect(try await driver.watermark == 5)
        for offset in 5..<120 as Range<Int64> {
            let later = SampleMessage(offset, key: "z", id: "0", "fail")
            #expect(try await driver.settle([later]).names == ["duplicate"])
        }
        let letter = try #require(try ledger.reader.deadLetters().first)
        #expect(letter.reason == .handler)
        #expect(letter.partition == TopicPartition("orders", 0) && letter.offset == 4)
        #expect(letter.key == sample.key && letter.payload == sample.payload && letter.headers == sample.headers)
        #expect(letter.idempotencyKey?.description == "0")
        #expect(letter.errorType.hasSuffix("Failure"))
        #expect(letter.ledger == ledger.id && letter.epoch == ledger.epoch)
        #expect(letter.deliveryCount == 115)
        #expect(letter.deliveries.count == DeadLetter.maximumListedDeliveries)
        #expect(letter.deliveries.first == .init(partition: TopicPartition("orders", 0), offset: 5))
        #expect(try ledger.reader.deadLetterCount() == 1)
        #expect(try ledger.reader.count(ScriptedHandler.counts) == 0)
        #expect(try ledger.totals().deadLettered == 1)
        await ledger.close()
    }

    @Test("What is discarded is done, and counted")
    func discard() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        let samples = [SampleMessage(0, id: "0", "fail"), SampleMessage(1, id: "0", "fail")]
        #expect(try await driver.settle(samples, with: Self.failing(.discard)).names == ["discarded", "duplicate"])
        #expect(try await driver.watermark == 2)
        #expect(try ledger.totals().discarded == 1)
        #expect(try ledger.reader.deadLetterCount() == 0)
        await ledger.close()
    }

    @Test("A message without its key is a dead letter under its payload's SHA-256, once")
    func missingKey() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        let report = try await driver.settle([SampleMessage(0, "x"), SampleMessage(1, "x"), SampleMessage(2, "y")])
        #expect(report.names == ["deadLettered", "duplicate", "deadLettered"])
        let letters = try ledger.reader.deadLetters()
        #expect(letters.map(\.reason) == [.key, .key])
        #expect(letters.map(\.deliveryCount) == [1, 0])
        #expect(letters[0].idempotencyKey?.description.hasPrefix("payload-sha256:") == true)
        await ledger.close()
    }

    @Test("A state key that cannot be stored fails its message, not the ledger")
    func stateKeys() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        var handler = ScriptedHandler()
        handler.body = { entry, transaction in
            try transaction.update(ScriptedHandler.counts, entry.message.text, default: 0) { $0 += 1 }
        }
        handler.decision = { _, _ in .deadLetter }
        let long = String(repeating: "k", count: 512)
        let samples = ["", long, String(long.dropLast())].enumerated().map {
            SampleMessage(Int64($0.offset), id: "\($0.offset)", $0.element)
        }
        #expect(try await driver.settle(samples, with: handler).names == ["deadLettered", "deadLettered", "processed"])
        #expect(try await driver.settle([SampleMessage(3, id: "3", "k")], with: handler).names == ["processed"])
        await ledger.close()
    }

    @Test("What a handler publishes has an id that no retry changes")
    func publishedIDs() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Self.opened(scratch)
        let driver = try await SettlementDriver(ledger)
        var handler = ScriptedHandler()
        handler.body = { entry, transaction in
            try transaction.publish(OutgoingMessage(to: "receipts", payload: [1]))
            if entry.attempt == 1 { throw Failure() }
            try transaction.publish(OutgoingMessage(to: "receipts", payload: [2], headers: [.messageID("own")]))
            try transaction.publish(OutgoingMessage(to: "receipts", payload: [3]))
        }
        var entries = try driver.entries([SampleMessage(0, id: "pay-1")])
        #expect(try await driver.settle(entries, with: handler).published == 0)
        entries[0].attempt = 2
        entries[0].opensLane = true
        #expect(try await driver.settle(entries, with: handler).published == 3)
        let batch = try ledger.outbox.read(ledger.outbox.scan(from: 1, messages: 10))
        let ids = try OutgoingBatchTests.messages(of: batch).map { $0.headers.first?.text }
        #expect(ids == ["/orders/pay-1#0", "own", "/orders/pay-1#2"])
        await ledger.close()
    }
}
