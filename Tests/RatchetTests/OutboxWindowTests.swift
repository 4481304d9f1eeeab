import Seeds
import Testing

@testable import Ratchet

@Suite("Outbox window", .timeLimit(.minutes(30)))
struct OutboxWindowTests {
    /// What keeps its order: a key within its topic and chosen partition, or a chosen partition; nil for neither.
    private static func lane(of message: OutgoingMessage) -> String? {
        if message.key == nil, message.partition == nil { return nil }
        return "\(message.topic) \(message.key ?? []) \(message.partition ?? -1)"
    }

    /// The messages in entries of one commit each.
    private static func entries(of count: Int, _ messages: [OutgoingMessage], _ random: inout SeededRandom) throws
        -> [[OutboxItem]]
    {
        var entries: [[OutboxItem]] = []
        var rest = messages[...]
        while !rest.isEmpty {
            let part = rest.prefix(random.below(count) + 1)
            rest = rest.dropFirst(part.count)
            try OutboxLayout.encode(try OutgoingBatch(part), from: UInt64(entries.count + 1)) { number, entry in
                var items: [OutboxItem] = []
                let isEntry = entry.withUnsafeBytes { OutboxLayout.scan($0, of: number, into: &items) }
                try #require(isEntry)
                entries.append(items)
            }
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

    @Test("Keys keep their order through failures, and in the end all is confirmed", arguments: Seed.some(100))
    func keepsOrder(seed: Seed) throws {
        var random = seed.random
        let messages = OutgoingBatchTests.messages(&random, count: random.below(200) + 1)
        let entries = try Self.entries(of: 8, messages, &random)
        let limits = OutboxWindow.Limits(messages: 7, bytes: random.below(400) + 60, known: 40)
        let all = entries.flatMap { $0 }
        let numbers = Dictionary(uniqueKeysWithValues: zip(all, messages.indices))
        var window = OutboxWindow(limits: limits)
        var (read, now, rounds) = (0, 0 as Int64, 0)
        var confirmed: [Int] = []
        var done: Set<UInt64> = []
        while confirmed.count < messages.count {
            rounds += 1
            try #require(rounds < 10_000, "it never ends")
            var hasRead = false
            if window.hasRoom, read < entries.count {
                #expect(window.next == UInt64(read + 1))
                window.take(entries[read])
                read += 1
                hasRead = true
            }
            #expect(entries[..<read].reduce(0) { $0 + $1.count } - confirmed.count < limits.known + 8)
            let chosen = window.sendable(at: now)
            #expect(chosen.count <= limits.messages)
            #expect(chosen.count < 2 || chosen.reduce(0) { $0 + Int($1.size) } <= limits.bytes)
            if chosen.isEmpty {
                if !hasRead { now = max(now, try #require(window.nextDue)) }
                continue
            }
            let sent = chosen.map { numbers[$0]! }
            let failed = Self.failures(sent.map { messages[$0] }, &random)
            for (place, number) in sent.enumerated() where !failed.contains(place) { confirmed.append(number) }
            for entry in window.sent(chosen, failed: failed, retryAt: { now + Int64($0) }) {
                let isNew = done.insert(entry).inserted
                #expect(isNew)
            }
            #expect(window.repeatable == confirmed.count { !done.contains(all[$0].entry) })
        }
        #expect(!window.holdsLanes && window.nextDue == nil && window.repeatable == 0)
        #expect(confirmed.sorted() == Array(messages.indices))
        #expect(done.count == entries.count)
        for (_, numbers) in Dictionary(grouping: confirmed, by: { Self.lane(of: messages[$0]) ?? "\($0)" }) {
            #expect(numbers == numbers.sorted())
        }
    }

    // MARK: By hand

    private static func item(_ entry: UInt64, _ offset: UInt32 = 0, lane: UInt64, size: UInt32 = 10) -> OutboxItem {
        OutboxItem(entry: entry, lane: lane, topic: 0, offset: offset, size: size)
    }

    private static func window(messages: Int = 10, bytes: Int = 1_000, known: Int = 1_000) -> OutboxWindow {
        OutboxWindow(limits: .init(messages: messages, bytes: bytes, known: known))
    }

    @Test("While nothing may be sent, it says when something may")
    func due() {
        var window = Self.window()
        let item = Self.item(1, lane: 1)
        window.take([item])
        var chosen = window.sendable(at: 0)
        #expect(chosen == [item])
        var done = window.sent(chosen, failed: [0]) { _ in 50 }
        #expect(done == [])
        chosen = window.sendable(at: 49)
        #expect(chosen == [])
        #expect(window.nextDue == 50)
        chosen = window.sendable(at: 50)
        #expect(chosen == [item])
        done = window.sent(chosen, failed: []) { _ in 0 }
        #expect(done == [1])
        #expect(window.nextDue == nil)
    }

    @Test("Refused messages leave room for all others, up to the bound; there it waits until some are confirmed")
    func refused() {
        var window = Self.window(messages: 5, known: 300)
        var entry: UInt64 = 0
        var sent: [UInt64] = []
        func read(lane: UInt64) {
            entry += 1
            window.take([Self.item(entry, lane: lane)])
            let chosen = window.sendable(at: 0)
            sent += chosen.map(\.lane)
            let failed = Set(chosen.indices.filter { chosen[$0].lane >= 1_000 })
            _ = window.sent(chosen, failed: failed) { _ in 100 }
        }
        for number in 0..<299 as Range<UInt64> {
            read(lane: 1_000 + number)
            read(lane: number)
            #expect(sent.suffix(2) == [1_000 + number, number])
            #expect(window.hasRoom)
        }
        // Behind a refused one of its key: not sent.
        read(lane: 1_000)
        #expect(sent.count == 598)
        #expect(!window.hasRoom)
        let chosen = window.sendable(at: 100)
        #expect(chosen.map(\.lane) == [1_000, 1_001, 1_002, 1_003, 1_004])
        _ = window.sent(chosen, failed: []) { _ in 0 }
        #expect(window.hasRoom)
    }

    @Test("Of a lane that has failed one message is tried; once it is confirmed the others follow at once, in order")
    func probe() {
        var window = Self.window(messages: 3)
        let items = (0..<8 as Range<UInt32>).map { Self.item(1, $0, lane: 1) }
        window.take(items)
        var chosen = window.sendable(at: 0)
        _ = window.sent(chosen, failed: [1, 2]) { 10 * Int64($0) }
        for round in 1...3 as ClosedRange<Int64> {
            chosen = window.sendable(at: round * 1_000)
            #expect(chosen == [items[1]])
            _ = window.sent(chosen, failed: [0]) { failures in
                #expect(failures == Int(round) + 1)
                return round * 1_000
            }
        }
        var sent: [OutboxItem] = []
        while true {
            chosen = window.sendable(at: 4_000)
            if chosen.isEmpty { break }
            sent += chosen
            _ = window.sent(chosen, failed: []) { _ in 0 }
        }
        #expect(sent == Array(items[1...]))
        #expect(!window.holdsLanes)
    }

    @Test("Neither retries that are due nor messages that come keep the others from being sent", arguments: [1, 4])
    func turns(messages: Int) {
        var window = Self.window(messages: messages)
        let refused = (0..<50 as Range<UInt32>).map { Self.item(1, $0, lane: UInt64($0)) }
        window.take(refused)
        var now: Int64 = 0
        for _ in 0..<50 {
            let chosen = window.sendable(at: -1)
            _ = window.sent(chosen, failed: Set(chosen.indices)) { _ in 0 }
        }
        var sent = (refused: 0, others: 0)
        var entry: UInt64 = 1
        for _ in 0..<20 {
            now += 1
            while window.hasRoom, entry < 500 {
                entry += 1
                window.take([Self.item(entry, lane: 1_000 + entry)])
            }
            let chosen = window.sendable(at: now)
            #expect(chosen.count == messages)
            let failed = Set(chosen.indices.filter { chosen[$0].lane < 1_000 })
            sent.refused += failed.count
            sent.others += chosen.count - failed.count
            _ = window.sent(chosen, failed: failed) { _ in now }
        }
        #expect(sent.refused == 10 * messages && sent.others == 10 * messages)
    }
}
