import Synchronization
import Testing

@testable import Ratchet

@Suite("Outbox relay", .timeLimit(.minutes(5)))
struct OutboxRelayTests {
    private struct Failure: Error {}

    private static func relay(_ ledger: Ledger, _ sink: any Sink) -> OutboxRelay {
        OutboxRelay(
            outbox: ledger.outbox,
            sink: sink,
            settings: .init(
                batch: 7,
                window: 20,
                retries: RetryPolicy(initialDelay: .microseconds(10), maximumDelay: .microseconds(50))
            ),
            clock: ContinuousClock(),
            time: .system,
            random: { 1 << 63 },
            logger: PipelineBench.silent,
            sent: { _ in }
        )
    }

    /// Settles messages that publish one message each, of three keys.
    private static func publish(_ ledger: Ledger, _ offsets: Range<Int64>, generation: Int64) async throws {
        let driver = try await SettlementDriver(ledger, generation: generation)
        var handler = ScriptedHandler()
        handler.body = { entry, transaction in
            try transaction.publish(
                OutgoingMessage(to: "receipts", key: "k\(entry.offset % 3)", payload: Array("\(entry.offset)".utf8))
            )
        }
        for start in stride(from: offsets.lowerBound, to: offsets.upperBound, by: 4) {
            let samples = (start..<min(start + 4, offsets.upperBound)).map { SampleMessage($0, id: "id\($0)") }
            try await driver.settle(samples, with: handler)
        }
    }

    /// A sink that fails at random: alone, with those of its key behind it, or as a whole, also after it has taken all.
    private static func unreliable(_ seed: Seed) -> ScriptedSink {
        let random = Mutex(seed.random)
        return ScriptedSink { messages in
            try random.withLock { random in
                if random.chance(10) { throw Failure() }
                // Its own, not the relay's.
                if random.chance(10) { throw CancellationError() }
                var broken: Set<[UInt8]?> = []
                return Set(
                    messages.indices.filter { index in
                        if random.chance(20) { broken.insert(messages[index].key) }
                        return broken.contains(messages[index].key)
                    }
                )
            }
        }
    }

    @Test("Everything is confirmed once, in the order of its key, under ids that never change", arguments: Seed.some(8))
    func relays(seed: Seed) async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        try await Self.publish(ledger, 0..<90, generation: 1)
        let sink = Self.unreliable(seed)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await Self.relay(ledger, sink).run() }
            try await ledger.outbox.drained()
            group.cancelAll()
        }
        Self.check(sink.confirmed, count: 90)
        #expect(sink.confirmed.count == 90)
        #expect(try ledger.reader.outboxCount() == 0)
        await ledger.close()
    }

    @Test("What a crash interrupts is sent again by the next opening, under the same ids", arguments: Seed.some(5))
    func resumes(seed: Seed) async throws {
        let scratch = try ScratchFolder()
        var ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        try await Self.publish(ledger, 0..<60, generation: 1)
        let enough = Latch()
        let unreliable = Self.unreliable(seed)
        let both = Mutex<[ScriptedSink.Sent]>([])
        await withTaskGroup(of: Void.self) { group in
            let opened = ledger
            let taking = ScriptedSink { messages in
                let count = both.withLock { both in
                    both += messages
                    return both.count
                }
                if count > 20 {
                    // Taken, and then the connection is lost: nothing is known.
                    enough.open()
                    throw Failure()
                }
                return []
            }
            group.addTask { try? await Self.relay(opened, taking).run() }
            await enough.wait()
            group.cancelAll()
        }
        await ledger.close()
        ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        #expect(try ledger.reader.outboxCount() > 0)
        try await Self.publish(ledger, 60..<70, generation: 2)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let opened = ledger
            group.addTask { try? await Self.relay(opened, unreliable).run() }
            try await ledger.outbox.drained()
            group.cancelAll()
        }
        Self.check(both.withLock { $0 } + unreliable.confirmed, count: 70)
        await ledger.close()
    }

    @Test("A second relay waits until the first one has ended")
    func oneAtATime() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        let entered = Latch()
        #expect(await ledger.outbox.becomeRelay())
        async let second: Bool = {
            entered.open()
            return await ledger.outbox.becomeRelay()
        }()
        await entered.wait()
        let cancelled = Task { await ledger.outbox.becomeRelay() }
        cancelled.cancel()
        #expect(await cancelled.value == false)
        ledger.outbox.endRelay()
        #expect(await second)
        ledger.outbox.endRelay()
        #expect(await ledger.outbox.becomeRelay())
        await ledger.close()
    }

    /// Each message once under its own id, the first copies in the order of their key.
    private static func check(_ sent: [ScriptedSink.Sent], count: Int) {
        var first: [ScriptedSink.Sent] = []
        var seen: [String: ScriptedSink.Sent] = [:]
        for message in sent {
            if let known = seen[message.id] {
                #expect(known == message)
                continue
            }
            seen[message.id] = message
            first.append(message)
        }
        #expect(first.count == count)
        for (_, ofKey) in Dictionary(grouping: first, by: \.key) {
            let numbers = ofKey.compactMap { Int(String(decoding: $0.payload, as: UTF8.self)) }
            #expect(numbers.count == ofKey.count)
            #expect(numbers == numbers.sorted())
            #expect(ofKey.allSatisfy { $0.id == "/orders/id\(String(decoding: $0.payload, as: UTF8.self))#0" })
        }
    }
}
