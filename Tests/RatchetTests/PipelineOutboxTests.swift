import Logging
import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: what it publishes", .timeLimit(.minutes(30)))
struct PipelineOutboxTests {
    private struct Down: Error {}

    private static var configuration: PipelineConfiguration {
        var configuration = PipelineBench.configuration
        configuration.outboxRetries = RetryPolicy(initialDelay: .milliseconds(1), maximumDelay: .milliseconds(5))
        return configuration
    }

    private static func samples(_ offsets: Range<Int64>) -> [SampleMessage] {
        offsets.map { SampleMessage($0, key: "k\($0 % 5)", id: "\($0)", "\($0)") }
    }

    /// A pipeline that publishes each message once, by default under its own key.
    private static func pipeline(
        _ bench: PipelineBench,
        _ source: ScriptedSource,
        _ sink: ScriptedSink,
        _ configuration: PipelineConfiguration = configuration,
        as outgoing: @escaping @Sendable (Message) -> OutgoingMessage = {
            OutgoingMessage(to: "receipts", key: $0.key, payload: $0.payload)
        }
    ) -> Pipeline<Message> {
        bench.asyncPipeline(source, configuration: configuration, sink: sink) { message, context in
            try context.publish(outgoing(message))
        }
    }

    /// Each message under its id, its first copy in the order of its key, repeats the same.
    private static func check(_ sent: [ScriptedSink.Sent], _ offsets: Range<Int64>) {
        var first: [String: ScriptedSink.Sent] = [:]
        var orders: [[UInt8]: [Int64]] = [:]
        for message in sent {
            if let known = first[message.id] {
                #expect(known == message)
                continue
            }
            first[message.id] = message
            guard let key = message.key else { continue }
            orders[key, default: []].append(Int64(String(decoding: message.payload, as: UTF8.self)) ?? -1)
        }
        for offset in offsets {
            #expect(first["billing/orders/\(offset)#0"]?.payload == Array("\(offset)".utf8))
        }
        #expect(first.count == offsets.count)
        for (_, order) in orders { #expect(order == order.sorted()) }
    }

    @Test("Messages that the sink refuses hold up only their own lanes, however many they are")
    func undeliverable() async throws {
        let bench = try PipelineBench()
        var configuration = Self.configuration
        configuration.outboxBatch = 5
        configuration.outboxRetries = RetryPolicy(initialDelay: .milliseconds(20), jitter: 0)
        configuration.drainTimeout = .milliseconds(100)
        let sink = ScriptedSink { messages in Set(messages.indices.filter { messages[$0].topic == "nowhere" }) }
        let source = ScriptedSource()
        let pipeline = Self.pipeline(bench, source, sink, configuration) { message in
            let topic = message.offset < 150 ? "nowhere" : "receipts"
            // Every third has no key, and so no order to keep.
            let key = message.offset % 3 == 0 ? nil : Array("own \(message.offset)".utf8)
            return OutgoingMessage(to: topic, key: key, payload: message.payload)
        }
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<150))
            await pipeline.settled(through: [.orders: 150])
            try source.deliver(Self.samples(150..<180))
            await sink.until { $0.count == 30 }
        }
        #expect(error == nil)
        Self.check(sink.confirmed, 150..<180)
        #expect(try bench.ledger.reader.outboxCount() > 0)
    }

    @Test("At the outbox's bound the source is paused; it goes on when the sink does, and nothing is lost")
    func bound() async throws {
        let bench = try PipelineBench()
        var configuration = Self.configuration
        configuration.outboxBacklog = 10
        let isUp = Atomic(false)
        let sink = ScriptedSink { _ in
            if !isUp.load(ordering: .relaxed) { throw Down() }
            return []
        }
        let source = ScriptedSource()
        let pipeline = Self.pipeline(bench, source, sink, configuration)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<9))
            await pipeline.settled(through: [.orders: 9])
            #expect(!source.calls.contains(.pause(.orders)))
            // What a fetch brought before the pause is taken in.
            try source.deliver(Self.samples(9..<14))
            await source.until { $0.contains(.pause(.orders)) }
            await pipeline.settled(through: [.orders: 14])
            #expect(!source.calls.contains(.resume(.orders)))
            #expect(bench.ledger.outbox.backlog == 14)
            isUp.store(true, ordering: .relaxed)
            await source.until { $0.contains(.resume(.orders)) }
            try source.deliver(Self.samples(14..<20))
            await pipeline.settled(through: [.orders: 20])
            try await bench.ledger.outbox.drained()
        }
        #expect(error == nil)
        Self.check(sink.confirmed, 0..<20)
        #expect(bench.ledger.outbox.backlog == 0)
        #expect(pipeline.statistics.sent == 20)
    }

    @Test("A full outbox is reported once, with the topic, the error and what it means")
    func warning() async throws {
        let bench = try PipelineBench()
        var configuration = Self.configuration
        configuration.outboxBacklog = 10
        configuration.drainTimeout = .milliseconds(20)
        let log = LogRecorder()
        configuration.logger = log.logger
        let sink = ScriptedSink { _ in throw Down() }
        let source = ScriptedSource()
        let pipeline = Self.pipeline(bench, source, sink, configuration)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<9))
            await log.until { $0.text.hasPrefix("outbox: not confirmed") }
            #expect(!log.lines.contains { $0.text.hasPrefix("the outbox is full") })
            for offset in 9..<20 as Range<Int64> {
                try source.deliver(Self.samples(offset..<offset + 1))
                await pipeline.settled(through: [.orders: offset + 1])
            }
        }
        #expect(error == nil)
        let full = log.lines.filter { $0.text.hasPrefix("the outbox is full") }
        #expect(full.count == 1)
        let line = try #require(full.first)
        #expect(line.level == .warning)
        #expect(line.metadata[LogKeys.topic] == "receipts")
        #expect(line.metadata[LogKeys.error] == "Down()")
        #expect(line.metadata[LogKeys.count] == "10")
    }

    @Test("A shutdown does not wait for a sink that was lost: the pipeline ends with the sink's own error")
    func lost() async throws {
        let bench = try PipelineBench()
        var configuration = Self.configuration
        // Longer than the time limit, as is the drain timeout.
        configuration.outboxRetries = RetryPolicy(initialDelay: .seconds(3600), maximumDelay: .seconds(3600))
        let log = LogRecorder()
        configuration.logger = log.logger
        let sink = ScriptedSink { _ in throw ScriptedSink.Refused() }
        let source = ScriptedSource()
        let error = try await bench.run(Self.pipeline(bench, source, sink, configuration), source) {
            await source.assign()
            try source.deliver(Self.samples(0..<1))
            await log.until { $0.text.hasPrefix("outbox: not confirmed") }
            sink.lose(Down())
        }
        #expect(error is Down)
        #expect(bench.ledger.outbox.backlog == 1)
    }

    @Test("What the sink refuses for a time it gets in the end, in the order of its key", arguments: Seed.some(5))
    func refusedForATime(seed: Seed) async throws {
        let bench = try PipelineBench()
        var configuration = Self.configuration
        configuration.outboxBatch = 4
        let refusals = Mutex((random: seed.random, left: [String: Int]()))
        let sink = ScriptedSink { messages in
            refusals.withLock { refusals in
                var broken: Set<[UInt8]?> = []
                return Set(
                    messages.indices.filter { index in
                        let message = messages[index]
                        if broken.contains(message.key) { return true }
                        if refusals.left[message.id] == nil {
                            refusals.left[message.id] = refusals.random.chance(30) ? refusals.random.below(6) : 0
                        }
                        guard refusals.left[message.id]! > 0 else { return false }
                        refusals.left[message.id]! -= 1
                        broken.insert(message.key)
                        return true
                    }
                )
            }
        }
        let source = ScriptedSource()
        let pipeline = Self.pipeline(bench, source, sink, configuration)
        let error = try await bench.run(pipeline, source) {
            await source.assign()
            for start in stride(from: 0, to: 120, by: 20) as StrideTo<Int64> {
                try source.deliver(Self.samples(start..<start + 20))
            }
            await pipeline.settled(through: [.orders: 120])
            try await bench.ledger.outbox.drained()
        }
        #expect(error == nil)
        Self.check(sink.confirmed, 0..<120)
        #expect(sink.confirmed.count == 120)
        #expect(bench.ledger.outbox.backlog == 0)
    }

    @Test("After a restart what is left is sent, under the same ids and in the order of its key")
    func restart() async throws {
        let first = try PipelineBench()
        var configuration = Self.configuration
        configuration.outboxBatch = 4
        configuration.drainTimeout = .milliseconds(20)
        let refusing = ScriptedSink { messages in Set(messages.indices.filter { messages[$0].key == Array("k1".utf8) })
        }
        let source = ScriptedSource()
        let pipeline = Self.pipeline(first, source, refusing, configuration)
        let error = try await first.run(pipeline, source) {
            await source.assign()
            try source.deliver(Self.samples(0..<50))
            await refusing.until { $0.count == 40 }
        }
        #expect(error == nil)
        let second = try await PipelineBench.reopening(first)
        let taking = ScriptedSink { _ in [] }
        let next = ScriptedSource()
        let again = Self.pipeline(second, next, taking)
        let ended = try await second.run(again, next) {
            await next.assign(generation: 2)
            try next.deliver(Self.samples(50..<60), generation: 2)
            await again.settled(through: [.orders: 60])
            try await second.ledger.outbox.drained()
        }
        #expect(ended == nil)
        Self.check(refusing.confirmed + taking.confirmed, 0..<60)
        #expect(try second.ledger.reader.outboxCount() == 0)
        #expect(second.ledger.outbox.backlog == 0)
    }
}
