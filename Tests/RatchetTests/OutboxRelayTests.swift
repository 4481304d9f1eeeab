import Dispatch
import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Outbox relay", .timeLimit(.minutes(30)))
struct OutboxRelayTests {
    private struct Failure: Error {}

    private static func relay(
        _ ledger: Ledger,
        _ sink: any Sink,
        batch: Int = 7,
        bytes: Int = 1 << 20,
        delay: Duration = .microseconds(10)
    ) -> OutboxRelay {
        OutboxRelay(
            outbox: ledger.outbox,
            sink: sink,
            settings: .init(
                batch: batch,
                bytes: bytes,
                backlog: 100_000,
                retries: RetryPolicy(initialDelay: delay, maximumDelay: delay * 5)
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

    @Test("A relay that takes over in the middle of an entry leaves the count right")
    func handOver() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        try await Self.publish(ledger, 0..<24, generation: 1)
        ledger.outbox.committed(24)
        let refusing = ScriptedSink { messages in Set(messages.indices.filter { messages[$0].key == Array("k0".utf8) })
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Self.relay(ledger, refusing).run() }
            await refusing.until { $0.count == 16 }
            group.cancelAll()
        }
        #expect(ledger.outbox.backlog == 24)
        let taking = ScriptedSink { _ in [] }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await Self.relay(ledger, taking).run() }
            try await ledger.outbox.drained()
            group.cancelAll()
        }
        #expect(ledger.outbox.backlog == 0)
        Self.check(refusing.confirmed + taking.confirmed, count: 24)
        await ledger.close()
    }

    @Test("What is sent at once, and so is in memory, is bounded in bytes; a larger message goes alone")
    func boundedBytes() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        let driver = try await SettlementDriver(ledger)
        let sizes = [300, 300, 300, 2_000, 300, 700, 100, 1_500]
        var handler = ScriptedHandler()
        handler.body = { _, transaction in
            for size in sizes {
                try transaction.publish(OutgoingMessage(to: "t", payload: [UInt8](repeating: 1, count: size)))
            }
        }
        try await driver.settle([SampleMessage(0, id: "x")], with: handler)
        let sends = Mutex<[[Int]]>([])
        let sink = ScriptedSink { messages in
            sends.withLock { $0.append(messages.map(\.payload.count)) }
            return []
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await Self.relay(ledger, sink, bytes: 1_000).run() }
            try await ledger.outbox.drained()
            group.cancelAll()
        }
        #expect(sends.withLock { $0 } == [[300, 300], [300], [2_000], [300], [700, 100], [1_500]])
        await ledger.close()
    }

    @Test("A message that publishes to more topics than two bytes can number is settled, and all of it is sent")
    func manyTopics() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        let driver = try await SettlementDriver(ledger)
        var handler = ScriptedHandler()
        handler.body = { _, transaction in
            for number in 0..<66_000 { try transaction.publish(OutgoingMessage(to: "t\(number)", payload: [])) }
        }
        try await driver.settle([SampleMessage(0, id: "x")], with: handler)
        let sink = ScriptedSink { _ in [] }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await Self.relay(ledger, sink, batch: 10_000).run() }
            try await ledger.outbox.drained()
            group.cancelAll()
        }
        #expect(sink.confirmed.map(\.topic) == (0..<66_000).map { "t\($0)" })
        await ledger.close()
    }

    /// All of its tasks share one thread.
    private final class OneThread: TaskExecutor {
        private let queue = DispatchQueue(label: "one thread")

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    @Test("A relay whose sink refuses at once, again and again, lets others have its thread")
    func letsOthersRun() async throws {
        let scratch = try ScratchFolder()
        let ledger = try Ledger(at: scratch("ledger"), configuration: .quick)
        try await Self.publish(ledger, 0..<30, generation: 1)
        let refusals = Mutex(0)
        let refused = Latch()
        let sink = ScriptedSink { messages in
            let count = refusals.withLock { count in
                count += 1
                return count
            }
            refused.open()
            // Nobody else was let in: it takes them, and so comes to an end.
            return count < 10_000 ? Set(messages.indices) : []
        }
        await withTaskExecutorPreference(OneThread()) {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await Self.relay(ledger, sink, delay: .nanoseconds(1)).run() }
                await refused.wait()
                group.cancelAll()
            }
        }
        #expect(sink.confirmed.isEmpty)
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
