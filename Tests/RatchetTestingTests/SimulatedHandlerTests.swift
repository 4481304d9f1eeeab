import Ratchet
import RatchetTesting
import Testing

@Suite("A handler under proof", .timeLimit(.minutes(30)))
struct SimulatedHandlerTests {
    struct Order: Codable, Sendable {
        var id: String
        var customer: String
        var cents: Int
    }

    private static let balances = StateTable<String, Int>("balances")

    private static func orders(_ count: Int) throws -> [SimulatedMessage] {
        try (0..<count).map { number in
            let order = Order(id: "o-\(number)", customer: "c\(number % 4)", cents: 100 + number)
            return try SimulatedMessage(id: order.id, key: order.customer, json: order)
        }
    }

    /// Charges outside of the ledger, and nothing keeps it from doing so twice.
    private static let naive = SimulatedHandler(decoding: .raw) { _, _, world in try await world.call("charge") }

    @Test("An effect outside of the ledger is caught when the process dies after it, and the story tells it")
    func naiveCaught() async throws {
        var naive = Self.naive
        naive.faults = [.crashProcess]
        let outcome = try await naive.run(seeds: 1...500)
        let story = outcome.story
        try #require(!outcome.isSound, "\(story)")
        let finding = try #require(outcome.findings.first { $0.kind == .duplicateEffect }, "\(story)")
        #expect(outcome.faults.count == 1 && outcome.runs > 1, "\(story)")
        let message = finding.messages[0]
        #expect(story.contains("Twice: \(message) had \"charge\" 2 times"), "\(story)")
        #expect(story.contains("\(message): effect 1, \"charge\", outside"), "\(story)")
        #expect(story.contains("\(message): effect 2, \"charge\", outside"), "\(story)")
        #expect(story.contains("the process of the pipelines dies"), "\(story)")
        #expect(story.contains("the process died after it"), "\(story)")
        #expect(story.contains("Again: seed \(outcome.seed)"), "\(story)")
    }

    @Test("The same seed is the same run to its very end, thirty times over")
    func deterministic() async throws {
        for seed in 1...30 as ClosedRange<UInt64> {
            let first = try await Self.naive.run(seed: seed, isShrinking: false)
            let second = try await Self.naive.run(seed: seed, isShrinking: false)
            #expect(first.digest == second.digest, "seed \(seed)")
        }
    }

    @Test("Its faults, given again, are the same run")
    func again() async throws {
        var naive = Self.naive
        naive.faults = [.crashProcess]
        let shrunk = try await naive.run(seeds: 1...500)
        let again = try await naive.run(seed: shrunk.seed, with: shrunk.faults)
        #expect(again.digest == shrunk.digest)
        #expect(again.story == shrunk.story)
        #expect(again.findings == shrunk.findings && !again.isSound)
    }

    @Test("A service that knows idempotency keys, and onCommit: each effect once, whatever goes wrong")
    func keyed() async throws {
        let outcome = try await SimulatedHandler(decoding: .raw) { _, context, world in
            try await world.call("charge", idempotencyKey: context.idempotencyKey)
            context.onCommit { try world.effect("booked", in: $0) }
        }.run(seeds: 1...60)
        #expect(outcome.isSound, "\(outcome.story)")
        #expect(outcome.counts.okWithEffect > 0)
    }

    @Test("A transactional handler of typed messages, with its state and what it published checked at the end")
    func transactional() async throws {
        var handler = SimulatedHandler(
            messages: try Self.orders(30),
            decoding: .json(Order.self),
            identifiedBy: .field { $0.id },
            transactional: { order, transaction, world in
                try transaction.update(Self.balances, order.customer, default: 0) { $0 += order.cents }
                try transaction.publish(order, to: "charges", key: order.customer)
                try world.effect("booked", in: transaction)
            }
        )
        handler.outputs = ["charges"]
        let asked = Asked()
        handler.verify = { end in
            var sum = 0
            try end.ledger.forEach(in: Self.balances) { sum += $1 }
            asked.add()
            let charges = end.published(to: "charges").count
            // The sends of some orders are given up and never come through.
            let numbers = end.received.compactMap { Int($0.headers.last?.text.dropFirst(2) ?? "") }
            let due = numbers.reduce(0) { $0 + 100 + $1 }
            if charges == numbers.count, sum == due, numbers.count == end.received.count { return [] }
            return ["\(charges) charges of \(sum) for \(end.received.count) orders of \(due)"]
        }
        let outcome = try await handler.run(seeds: 1...40)
        #expect(outcome.isSound, "\(outcome.story)")
        #expect(asked.count == 40)
    }

    @Test("A run whose messages never get as far as the handler fails, and says why")
    func idle() async throws {
        let handler = SimulatedHandler(decoding: .json(Order.self), identifiedBy: .field { $0.id }) { _, _, world in
            try await world.call("charge")
        }
        let outcome = try await handler.run(seeds: 1...2)
        let problem = try #require(outcome.problems.first)
        #expect(problem.hasPrefix("the handler never ran: all 50 messages became dead letters"), "\(problem)")
        #expect(problem.contains("DecodingError") && problem.contains("`messages` was not given"), "\(problem)")
        #expect(!outcome.isSound && outcome.faults.isEmpty && outcome.seed == 1)
    }

    @Test("Messages that do not decode, among others that do, are dead letters and no fault of the handler")
    func poison() async throws {
        let messages = try Self.orders(10) + [SimulatedMessage(id: "poison", key: "c0")]
        let outcome = try await SimulatedHandler(
            messages: messages,
            decoding: .json(Order.self),
            identifiedBy: .field { $0.id }
        ) { _, context, world in
            context.onCommit { try world.effect("booked", in: $0) }
        }.run(seeds: 1...5)
        #expect(outcome.isSound, "\(outcome.story)")
        #expect(outcome.counts.deadLettered == 1)
    }

    @Test("A story says once that a message had an effect three times")
    func thrice() async throws {
        let outcome = try await withSimulatedPipeline(seed: 1, faults: [], decoding: .raw) { message, _, world in
            for _ in 1...(message.text == "p0-3" ? 3 : 1) { try world.effect("mail") }
        }
        #expect(outcome.findings.count == 2)
        let sentences = outcome.story.split(separator: "\n").filter { $0.hasPrefix("Twice: ") }
        #expect(sentences == ["Twice: p0-3 had \"mail\" 3 times"], "\(outcome.story)")
    }

    @Test("An outcome is described by one line, whose faults say whom they hit, as does the story")
    func brief() async throws {
        var naive = Self.naive
        naive.faults = [.loseAnswers]
        let outcome = try await naive.run(seeds: 1...500)
        let story = outcome.story.split(separator: "\n")
        let description = String(describing: outcome)
        #expect(!description.contains("\n") && description.count < 500, "\(description)")
        #expect(description.contains("loseAnswers of pipeline ") && description.contains("see its story"))
        #expect(story.contains { $0.contains("answers to calls of pipeline") }, "\(story)")
    }

    @Test("What a check of the end finds makes the run fail, and is told")
    func verified() async throws {
        var handler = SimulatedHandler(decoding: .raw) { _, context, world in
            context.onCommit { try world.effect(in: $0) }
        }
        handler.verify = { _ in ["the books do not balance"] }
        let outcome = try await handler.run(seed: 3)
        #expect(outcome.problems == ["the books do not balance"])
        #expect(outcome.faults.isEmpty)
        #expect(outcome.story.contains("Wrong: the books do not balance"))
    }

    @Test("A transactional handler with an effect outside is caught: a failed transaction takes it not back")
    func outsideInTransaction() async throws {
        let outcome = try await SimulatedHandler(
            decoding: .raw,
            transactional: { _, _, world in try world.effect("mail") }
        ).run(seeds: 1...500)
        #expect(outcome.findings.contains { $0.kind == .duplicateEffect && $0.effects == ["mail"] }, "\(outcome.story)")
        #expect(outcome.story.contains("\"mail\" happens outside of the ledger"), "\(outcome.story)")
    }

    @Test("A handler that forgets its effect loses it, with no fault at all")
    func lost() async throws {
        let outcome = try await withSimulatedPipeline(seed: 1, decoding: .raw) { message, _, world in
            if message.text != "p0-3" { try world.effect("mail") }
        }
        #expect(outcome.story.contains("Lost: p0-3 was sent, and never had \"mail\""), "\(outcome.story)")
        #expect(outcome.faults.isEmpty)
    }

    @Test("Two effects are two: each is counted by itself", arguments: 1...5)
    func two(seed: UInt64) async throws {
        let handler = SimulatedHandler(decoding: .raw) { _, context, world in
            context.onCommit { transaction in
                try world.effect("booked", in: transaction)
                try world.effect("noted", in: transaction)
            }
        }
        #expect(try await handler.run(seed: seed).isSound)
        var more = handler
        more.effects = ["booked", "noted", "sealed"]
        let outcome = try await more.run(seed: seed)
        #expect(outcome.findings.contains { $0.kind == .lostEffect })
        #expect(outcome.findings.allSatisfy { $0.effects == ["sealed"] })
    }

    @Test("A duplicate under a new offset is caught where nothing identifies the event")
    func positionOnly() async throws {
        var handler = SimulatedHandler(decoding: .raw, identifiedBy: .positionOnly) { _, context, world in
            context.onCommit { try world.effect("booked", in: $0) }
        }
        handler.faults = [.badSends, .crashBroker]
        let outcome = try await handler.run(seeds: 1...500)
        #expect(outcome.findings.contains { $0.kind == .duplicateEffect }, "\(outcome.story)")
        #expect(outcome.story.contains("effect 2, \"booked\", is in the ledger"), "\(outcome.story)")
    }
}
