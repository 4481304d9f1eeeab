import Seeds
import Synchronization
import Testing

@testable import Ratchet

@Suite("Pipeline: nothing is committed that is not dealt with", .timeLimit(.minutes(30)))
struct PipelineHistoryTests {
    /// What is to become of an event.
    private struct Fate: Sendable {
        /// How often its handler throws before that.
        var failures: Int
        /// Nil to be processed.
        var end: RetryPolicy.Decision?
    }

    private struct Planned: Error { var decision: RetryPolicy.Decision }

    private static let length: Int64 = 120

    /// A log of messages, some of them the same event again, and what is to become of each event.
    private struct Plan: Sendable {
        var messages: [SampleMessage] = []
        var fates: [String: Fate] = [:]
        /// The first message of the event that stops the pipeline, if one does.
        var stop: Int64?

        init(_ random: inout SeededRandom) {
            let stop = random.chance(40) ? Int64(random.below(Int(length))) : nil
            for offset in 0..<length {
                let repeated = random.chance(20) ? fates.keys.sorted().randomElement(using: &random) : nil
                let id = offset == stop ? "id\(offset)" : repeated ?? "id\(offset)"
                if fates[id] == nil {
                    let end: RetryPolicy.Decision? =
                        switch random.below(10) {
                        case 0: .deadLetter
                        case 1: .discard
                        default: nil
                        }
                    fates[id] = Fate(failures: random.below(3) * random.below(2), end: offset == stop ? .stop : end)
                }
                messages.append(SampleMessage(offset, key: random.chance(90) ? "k\(random.below(4))" : nil, id: id))
            }
            self.stop = stop
        }

        func id(_ offset: Int64) -> String { messages[Int(offset)].headers[0].text }

        func handle(_ message: Message, _ attempt: Int) throws {
            guard let fate = fates[id(message.offset)] else { return }
            if attempt <= fate.failures { throw Planned(decision: .retry) }
            if let end = fate.end { throw Planned(decision: end) }
        }
    }

    /// Checks that each message before `offset` has what was to become of its event, in the ledger.
    private static func check(_ bench: PipelineBench, _ plan: Plan, before offset: Int64) throws {
        guard offset > 0 else { return }
        try #require(offset <= length)
        let position = PartitionPosition(key: [], tracker: OffsetTracker(watermark: 0), generation: 0, isKnown: true)
        let lease = PartitionLease(partition: .orders, generation: 0, slot: 0, position: position)
        let intake = Intake(
            decoder: .raw,
            keys: .messageID,
            fingerprint: bench.ledger.journal.fingerprint,
            ordering: nil
        )
        let batch = intake.take(try MessageBatch(Array(plan.messages[..<Int(offset)])), under: lease)
        let letters = Set(try bench.ledger.reader.deadLetters().map { $0.idempotencyKey?.description })
        var effects: [String: Int] = [:]
        for number in 0..<Self.length {
            effects[plan.id(number), default: 0] += try bench.count(number)
        }
        for index in 0..<Int(offset) {
            let id = plan.id(Int64(index))
            let fate = try #require(plan.fates[id])
            #expect(try bench.ledger.isKnownDuplicate(SettlementEntry(batch: batch, index: Int32(index))), "\(id)")
            #expect(effects[id] == (fate.end == nil ? 1 : 0), "\(id)")
            #expect(letters.contains(id) == (fate.end == .deadLetter), "\(id)")
            #expect(fate.end != .stop, "\(id)")
        }
    }

    @Test(
        "Whatever fails and comes and goes, what is committed has an effect, a dead letter or was discarded",
        arguments: PipelineBench.Kind.allCases,
        Seed.some(12)
    )
    func committed(kind: PipelineBench.Kind, seed: Seed) async throws {
        var random = seed.random
        let plan = Plan(&random)
        let bench = try PipelineBench()
        var configuration = PipelineBench.configuration
        configuration.commitInterval = .microseconds(200)
        configuration.concurrency = random.below(5) + 1
        configuration.batch = random.below(8) + 1
        configuration.ordering = [.key, .partition, .none][random.below(3)]
        configuration.retries = RetryPolicy(attempts: 1000, initialDelay: .zero) { error, _ in
            (error as? Planned)?.decision ?? .retry
        }
        let source = ScriptedSource(committing: { commits in
            for commit in commits { try Self.check(bench, plan, before: commit.offset) }
        })
        let pipeline = bench.pipeline(source, kind, configuration: configuration) { try plan.handle($0, $1) }
        let error = try await bench.run(pipeline, source) {
            try await Self.play(plan, source, pipeline, &random)
        }
        if let stop = plan.stop {
            #expect((error as? PipelineError)?.code == .stopped)
            #expect(source.committed() ?? 0 <= stop)
        } else {
            #expect(error == nil)
            #expect(source.committed() == Self.length)
        }
        #expect(try await bench.watermark() == source.committed() ?? 0)
        try Self.check(bench, plan, before: source.committed() ?? 0)
    }

    /// Assigns and revokes the partition some times, then lets it be delivered to its end or to the message that stops.
    private static func play(
        _ plan: Plan,
        _ source: ScriptedSource,
        _ pipeline: Pipeline<Message>,
        _ random: inout SeededRandom
    ) async throws {
        let rounds = Int64(random.below(4) + 1)
        for generation in 1...rounds {
            let isLast = generation == rounds
            await source.assign(generation: generation)
            let starts = source.calls.compactMap { if case .start(_, let at) = $0 { at } else { nil } }
            var next = try #require(starts.last)
            // What stops the pipeline is for the end.
            let limit = isLast ? length : plan.stop ?? length
            let end = isLast ? length : next + Int64(random.below(Int(max(0, limit - next)) + 1))
            while next < end {
                let upper = min(end, next + Int64(random.below(20) + 1))
                try source.deliver(Array(plan.messages[Int(next)..<Int(upper)]), generation: generation)
                next = upper
            }
            guard !isLast else { break }
            if random.chance(30) { await pipeline.settled(through: [.orders: end]) }
            if random.chance(30) {
                source.say(.lost([.orders]))
            } else {
                let before = source.calls.count
                source.say(.revoking([.orders], within: .seconds(600)))
                await source.until { $0[before...].contains(.release(.orders)) }
            }
        }
        if plan.stop == nil {
            await pipeline.settled(through: [.orders: length])
        } else {
            await source.until { $0.contains(.close) }
        }
    }
}
