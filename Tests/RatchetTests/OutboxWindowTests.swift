import Testing

@testable import Ratchet

@Suite("Outbox window")
struct OutboxWindowTests {
    /// What keeps its order: a key within its topic and chosen partition, or a chosen partition; nil for neither.
    private static func lane(of message: OutgoingMessage) -> String? {
        if message.key == nil, message.partition == nil { return nil }
        return "\(message.topic) \(message.key ?? []) \(message.partition ?? -1)"
    }

    @Test("Keys keep their order through failures, and in the end all is confirmed", arguments: Seed.some(100))
    func keepsOrder(seed: Seed) throws {
        var random = seed.random
        let messages = OutgoingBatchTests.messages(&random, count: random.below(120) + 1)
        var waiting = try Self.entries(of: messages, &random)
        var window = OutboxWindow(limit: 20)
        var confirmed: [Int] = []
        var done: [UInt64] = []
        var now: Int64 = 0
        var rounds = 0
        while confirmed.count < messages.count {
            rounds += 1
            try #require(rounds < 10_000, "it never ends")
            if window.hasRoom, !waiting.isEmpty {
                let (entry, batch) = waiting.removeFirst()
                #expect(entry >= window.next)
                window.take([(entry, batch.count)], from: batch)
            }
            #expect(window.items.count < 20 + 8)
            let (chosen, due) = window.sendable(at: now, limit: 7)
            #expect(chosen.count <= 7 && chosen == chosen.sorted())
            guard !chosen.isEmpty else {
                now = max(now, try #require(due))
                continue
            }
            let sent = try OutgoingBatchTests.messages(of: window.batch)
            let numbers = chosen.map { Self.number(of: sent[window.items[$0].index]) }
            let failed = Self.failures(chosen.map { sent[window.items[$0].index] }, &random)
            for (place, number) in numbers.enumerated() where !failed.contains(place) { confirmed.append(number) }
            done += window.sent(chosen, failed: failed) { attempts in
                #expect(attempts >= 1)
                return now + Int64(attempts)
            }
        }
        #expect(window.items.isEmpty && window.batch.isEmpty)
        #expect(confirmed.sorted() == Array(messages.indices))
        #expect(Set(done).count == done.count)
        #expect(done.count == Int(window.next) - 1)
        for (_, numbers) in Dictionary(grouping: confirmed, by: { Self.lane(of: messages[$0]) ?? "\($0)" }) {
            #expect(numbers == numbers.sorted())
        }
    }

    private static func number(of message: OutgoingMessage) -> Int {
        Int(message.headers.first?.text.dropFirst(2) ?? "") ?? -1
    }

    /// The messages in entries of one commit each.
    private static func entries(
        of messages: [OutgoingMessage],
        _ random: inout SeededRandom
    ) throws -> [(UInt64, OutgoingBatch)] {
        var entries: [(UInt64, OutgoingBatch)] = []
        var rest = messages[...]
        while !rest.isEmpty {
            let part = rest.prefix(random.below(8) + 1)
            rest = rest.dropFirst(part.count)
            entries.append((UInt64(entries.count + 1), try OutgoingBatch(part)))
        }
        return entries
    }

    /// Some fail, and with each those of its key behind it, as ``Sink`` asks for.
    private static func failures(_ messages: [OutgoingMessage], _ random: inout SeededRandom) -> Set<Int> {
        var failed: Set<Int> = []
        var broken: Set<String> = []
        for (place, message) in messages.enumerated() {
            let lane = lane(of: message)
            guard random.chance(25) || lane.map(broken.contains) ?? false else { continue }
            failed.insert(place)
            if let lane { broken.insert(lane) }
        }
        return failed
    }

    @Test("While nothing may be sent, it says when something may")
    func due() throws {
        var window = OutboxWindow(limit: 10)
        window.take([(1, 1)], from: try OutgoingBatch([OutgoingMessage(to: "t", key: "k", payload: [])]))
        let none = window.sent([0], failed: [0]) { _ in 50 }
        #expect(none == [])
        #expect(window.sendable(at: 49, limit: 10).items == [])
        #expect(window.sendable(at: 49, limit: 10).due == 50)
        #expect(window.sendable(at: 50, limit: 10).items == [0])
        let done = window.sent([0], failed: []) { _ in 0 }
        #expect(done == [1])
        #expect(window.sendable(at: 50, limit: 10).due == nil)
    }
}
