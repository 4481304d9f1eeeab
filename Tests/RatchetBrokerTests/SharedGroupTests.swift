import Testing

@testable import RatchetBroker

/// A shared group whose writes succeed at once unless a test says otherwise.
struct SharedGroupDriver {
    var core: SharedGroup
    var now = Duration.zero
    var rows: [Int: SharedRow] = [:]
    var delivered: [Int64: [SharedGroup.Delivery]] = [:]
    var confirmed: [UInt64] = []
    var refused: [UInt64: SharedGroup.Refusal] = [:]
    var buried: [SharedGroup.DeadLetter] = []
    var evicted: [Int64] = []
    var withdrawn: [Int64: [Int64]] = [:]
    /// Writes that were asked for and not made.
    var owed = 0
    var writesAtOnce = true
    private var lastRequest: UInt64 = 0

    init(
        _ logs: [Range<Int64>] = [0..<10],
        rows: [Int: SharedRow] = [:],
        spread: Int = 100,
        deliveryLimit: Int? = nil,
        hasDeadLetterTopic: Bool = true
    ) {
        let partitions = logs.enumerated().map { SharedPartition(rows[$0.offset], log: $0.element) }
        let limits = SharedGroup.Limits(
            spread: spread,
            deliveryLimit: deliveryLimit,
            hasDeadLetterTopic: hasDeadLetterTopic,
            maximumConsumers: 10,
            sessionTimeout: .seconds(45)
        )
        core = SharedGroup(partitions: partitions, limits: limits)
        self.rows = rows
    }

    mutating func tell(_ event: SharedGroup.Event) {
        for action in core.handle(event, now: now) { perform(action) }
        while writesAtOnce, owed > 0 { write() }
    }

    mutating func write() {
        owed -= 1
        let write = core.takeWrite()
        for (partition, row) in write.rows { rows[partition] = row }
        for action in core.handle(.persisted(write), now: now) { perform(action) }
    }

    private mutating func perform(_ action: SharedGroup.Action) {
        switch action {
        case .deliver(let id, let deliveries): delivered[id, default: []] += deliveries
        case .persist: owed += 1
        case .confirm(let requests): confirmed += requests
        case .refuse(let request, let reason): refused[request] = reason
        case .deadLetter(let letters, let request):
            buried += letters
            for action in core.handle(.deadLetterWritten(letters), now: now) { perform(action) }
            for action in core.handle(.deadLettered(letters), now: now) { perform(action) }
            if let request { confirmed.append(request) }
        case .evicted(let id): evicted.append(id)
        case .withdraw(let id, let tags): withdrawn[id, default: []] += tags
        }
    }

    mutating func join(_ id: Int64, prefetch: Int = 4, autoAck: Bool = false) {
        tell(.join(id, prefetch: prefetch, autoAck: autoAck))
    }

    /// What the consumer is given when it asks.
    mutating func ask(_ id: Int64, most: Int = 100) -> [SharedGroup.Delivery] {
        delivered[id] = nil
        tell(.ask(id, most: most))
        return delivered[id] ?? []
    }

    @discardableResult
    mutating func settle(
        _ id: Int64,
        through: Int64? = nil,
        _ tags: [Int64] = [],
        _ answer: SharedGroup.Answer = .ack
    ) -> UInt64 {
        lastRequest += 1
        tell(.settle(id, through: through, tags: tags, answer, lastRequest))
        return lastRequest
    }

    /// The same group in a new process.
    func restarted(_ logs: [Range<Int64>] = [0..<10]) -> SharedGroupDriver {
        SharedGroupDriver(
            logs,
            rows: rows,
            spread: core.limits.spread,
            deliveryLimit: core.limits.deliveryLimit,
            hasDeadLetterTopic: core.limits.hasDeadLetterTopic
        )
    }
}

extension [SharedGroup.Delivery] {
    var offsets: [Int64] { map(\.offset) }
    var tags: [Int64] { map(\.tag) }
}

@Suite struct SharedGroupTests {
    @Test("A consumer gets up to its prefetch, in the log's order, and more as it acks")
    func prefetch() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 4)
        let first = group.ask(1)
        #expect(first.offsets == [0, 1, 2, 3] && first.tags == [1, 2, 3, 4])
        #expect(first.allSatisfy { $0.count == 1 && !$0.isRedelivered })
        #expect(group.ask(1).isEmpty)
        group.settle(1, [2])
        // It has been waiting.
        #expect(group.delivered[1]?.offsets == [4])
        #expect(group.delivered[1]?.tags == [5])
    }

    @Test("A message that a crash gives back after its last delivery is a dead letter, not delivered once more")
    func exhaustedInACrash() {
        var group = SharedGroupDriver([0..<3], deliveryLimit: 2)
        group.join(1)
        _ = group.ask(1)
        group.settle(1, [1, 2], .requeue)
        #expect(group.ask(1).map(\.count) == [2, 2])
        // Writes how often those were delivered that are out.
        group.settle(1, [4])
        var next = group.restarted([0..<3])
        next.join(2)
        #expect(next.buried == [.init(partition: 0, offset: 1, count: 2, reason: .deliveryLimit)])
        #expect(next.ask(2).map(\.offset) == [2])
        #expect(next.ask(2).isEmpty)
        // And it is one only once.
        var last = next.restarted([0..<3])
        last.join(3)
        #expect(last.buried.isEmpty)
        #expect(last.ask(3).map(\.offset) == [2])
    }

    @Test("Consumers that wait share what comes, and no message is two consumers' at once")
    func competing() {
        var group = SharedGroupDriver([0..<0])
        for id in 1...3 as ClosedRange<Int64> {
            group.join(id, prefetch: 10)
            #expect(group.ask(id).isEmpty)
        }
        group.tell(.log(partition: 0, 0..<7))
        let shares = (1...3).map { group.delivered[$0]?.offsets ?? [] }
        #expect(shares.flatMap { $0 }.sorted() == Array(0..<7))
        #expect(shares.allSatisfy { 2...3 ~= $0.count })
    }

    @Test("Ack multiple settles all up to the tag, a single ack only its own")
    func multiple() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 10)
        _ = group.ask(1)
        let request = group.settle(1, through: 4)
        #expect(group.confirmed == [request])
        group.settle(1, [7])
        #expect(group.rows[0]?.settled == 4)
        #expect(group.rows[0]?.slots == [1, 1, nil, 1, 1, 1])
        group.tell(.leave(1))
        group.join(2, prefetch: 10)
        #expect(group.ask(2).offsets == [4, 5, 7, 8, 9])
    }

    @Test("An ack is confirmed only once it is written, and with all that waited meanwhile")
    func durability() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 10)
        _ = group.ask(1)
        group.writesAtOnce = false
        let first = group.settle(1, [1])
        #expect(group.owed == 1)
        let second = group.settle(1, [2])
        #expect(group.owed == 1 && group.confirmed.isEmpty)
        group.write()
        #expect(group.confirmed == [first, second])
        #expect(group.rows[0]?.settled == 2)
    }

    @Test("What is requeued comes again before newer messages, in the log's order, counted and marked")
    func requeue() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 4)
        _ = group.ask(1)
        group.settle(1, [3], .requeue)
        group.settle(1, [2], .requeue)
        let again = group.ask(1)
        #expect(again.offsets == [1, 2])
        #expect(again.tags == [5, 6])
        #expect(again.allSatisfy { $0.count == 2 && $0.isRedelivered })
        group.settle(1, through: 6)
        #expect(group.ask(1).offsets == [4, 5, 6, 7])
    }

    @Test("What a consumer had not answered comes back when it leaves")
    func leaving() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 4)
        _ = group.ask(1)
        group.settle(1, [2])
        group.join(2, prefetch: 4)
        #expect(group.ask(2).offsets == [4, 5, 6, 7])
        group.tell(.leave(1))
        group.settle(2, through: 4)
        let more = group.ask(2)
        #expect(more.offsets == [0, 2, 3, 8])
        #expect(more.map(\.isRedelivered) == [true, true, true, false])
    }

    @Test("Tags of a consumer that is gone are refused, as are unknown ones and those that were answered")
    func refusals() {
        var group = SharedGroupDriver()
        group.join(1)
        _ = group.ask(1)
        group.settle(1, [1])
        let (again, unknown, part) = (group.settle(1, [1]), group.settle(1, [9]), group.settle(1, [2, 9]))
        let through = group.settle(1, through: 5)
        group.tell(.leave(1))
        let fenced = group.settle(1, [2])
        #expect(
            group.refused == [
                again: .settledTag(1), unknown: .unknownTag(9), part: .unknownTag(9), through: .unknownTag(5),
                fenced: .fenced,
            ]
        )
        // Nothing of a refused answer counts.
        group.join(2)
        #expect(group.ask(2).offsets == [1, 2, 3])
    }

    @Test("A consumer that is silent for longer than the session timeout loses what it has, one that waits does not")
    func silence() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 4)
        group.join(2, prefetch: 100)
        _ = group.ask(1)
        #expect(group.ask(2).count == 6)
        #expect(group.ask(2).isEmpty)
        group.now = .seconds(45)
        group.tell(.tick)
        #expect(group.evicted.isEmpty)
        group.now = .seconds(46)
        group.tell(.tick)
        #expect(group.evicted == [1])
        #expect(group.delivered[2]?.offsets == [0, 1, 2, 3])
        let late = group.settle(1, [1])
        #expect(group.refused[late] == .fenced)
    }

    @Test(
        "A message that was delivered too often is dead-lettered when it comes back, and one that is rejected at once"
    )
    func deadLetters() {
        var group = SharedGroupDriver([0..<2], deliveryLimit: 2)
        group.join(1)
        for round in 1...2 {
            #expect(group.ask(1).offsets == (round == 1 ? [0, 1] : [0]))
            if round == 1 { group.settle(1, [2], .reject) }
            group.settle(1, [round == 1 ? 1 : 3], .requeue)
        }
        #expect(
            group.buried == [
                .init(partition: 0, offset: 1, count: 1, reason: .rejected),
                .init(partition: 0, offset: 0, count: 2, reason: .deliveryLimit),
            ]
        )
        #expect(group.ask(1).isEmpty)
        #expect(group.rows[0]?.settled == 2)
    }

    @Test("Without a dead-letter topic a rejected message is gone")
    func rejected() {
        var group = SharedGroupDriver([0..<1], hasDeadLetterTopic: false)
        group.join(1)
        _ = group.ask(1)
        let request = group.settle(1, [1], .reject)
        #expect(group.confirmed == [request] && group.buried.isEmpty)
        #expect(group.rows[0]?.settled == 1)
    }

    @Test("With auto-ack a message is gone when it is delivered")
    func autoAck() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 4, autoAck: true)
        #expect(group.ask(1).count == 4)
        #expect(group.ask(1).offsets == [4, 5, 6, 7])
        group.tell(.leave(1))
        group.join(2)
        #expect(group.ask(2).offsets == [8, 9])
    }

    @Test("Nothing new is delivered beyond the spread, until the first message that is not settled is")
    func spread() {
        var group = SharedGroupDriver([0..<1000], spread: 10)
        group.join(1, prefetch: 1)
        group.join(2, prefetch: 1000)
        #expect(group.ask(1).offsets == [0])
        var seen: [Int64] = []
        while case let more = group.ask(2), !more.isEmpty {
            seen += more.offsets
            group.settle(2, through: more.tags.last)
        }
        #expect(seen == Array(1..<10))
        #expect(group.core.partitions[0].span == 10)
        group.settle(1, [1])
        #expect(group.delivered[2]?.offsets == Array(10..<20))
    }

    @Test("What was never delivered before a crash is not marked as redelivered, what may have been is")
    func mark() {
        var group = SharedGroupDriver([0..<5000], spread: 8000)
        group.join(1, prefetch: 2000)
        group.writesAtOnce = false
        // Not before the disk says that they may have been delivered.
        #expect(group.ask(1, most: 2000).isEmpty)
        group.writesAtOnce = true
        group.tell(.tick)
        #expect(group.delivered[1]?.count == Int(SharedPartition.stride))
        var after = group.restarted([0..<5000])
        after.join(2, prefetch: 5000)
        var deliveries: [SharedGroup.Delivery] = []
        while case let more = after.ask(2), !more.isEmpty { deliveries += more }
        #expect(deliveries.count == 5000)
        #expect(deliveries.allSatisfy { $0.isRedelivered == ($0.offset < 1024) })
    }

    @Test("When all consumers have left in good order, only what they had is marked after a restart")
    func goodOrder() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 3)
        _ = group.ask(1)
        group.tell(.leave(1))
        var after = group.restarted()
        after.join(2, prefetch: 10)
        let deliveries = after.ask(2) + after.ask(2)
        #expect(deliveries.map(\.isRedelivered) == (0..<10).map { $0 < 3 })
        #expect(deliveries.map(\.count) == (0..<10).map { $0 < 3 ? 2 : 1 })
    }

    @Test("What is cut off the log is nobody's: what comes in its place is delivered, and old answers mean nothing")
    func cut() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 8)
        #expect(group.ask(1).offsets == Array(0..<8))
        group.settle(1, through: 4)
        group.tell(.log(partition: 0, 0..<2, leaderEnd: 2))
        #expect(group.withdrawn[1] == [5, 6, 7, 8])
        #expect(group.rows[0]?.settled == 2)
        let late = group.settle(1, [5, 6])
        #expect(group.confirmed.contains(late))
        group.tell(.log(partition: 0, 0..<6, leaderEnd: 6))
        group.join(2, prefetch: 10)
        #expect(group.ask(2).offsets == [2, 3, 4, 5])
        group.settle(1, [7, 8], .requeue)
        #expect(group.ask(2).offsets.isEmpty)
    }

    @Test("Holes of the log and what retention removes are settled")
    func holes() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 4)
        _ = group.ask(1)
        group.tell(.absent(1, tags: [2, 3], partition: 0, 1..<3))
        #expect(group.ask(1).offsets == [4, 5])
        group.tell(.log(partition: 0, 6..<10))
        let late = group.settle(1, [1])
        #expect(group.confirmed == [late])
        #expect(group.rows[0]?.settled == 6)
        group.tell(.leave(1))
        group.join(2, prefetch: 10)
        #expect(group.ask(2).offsets == [6, 7, 8, 9])
    }

    @Test(
        "A hole that is wider than the spread is passed at once where nothing waits, and in steps where something does"
    )
    func wideHole() {
        var group = SharedGroupDriver([0..<1000], spread: 10)
        group.join(1, prefetch: 2)
        _ = group.ask(1)
        group.tell(.absent(1, tags: [2], partition: 0, 1..<900))
        #expect(group.core.partitions[0].span <= 10)
        group.settle(1, [1])
        while case let next = group.ask(1), let first = next.first, first.offset < 900 {
            let tags = next.filter { $0.offset < 900 }.map(\.tag)
            group.tell(.absent(1, tags: tags, partition: 0, first.offset..<900))
        }
        #expect(group.rows[0]?.settled == 900)
    }

    @Test("Who is at work on what retention removes answers it with all else that it has")
    func removedAtWork() {
        var group = SharedGroupDriver()
        group.join(1, prefetch: 2)
        let unread = group.ask(1)
        group.join(2, prefetch: 3)
        #expect(group.ask(2).offsets == [2, 3, 4])
        group.tell(.absent(1, tags: unread.tags, partition: 0, 0..<4))
        let acked = group.settle(2, [1, 2, 3])
        #expect(group.refused.isEmpty && group.confirmed == [acked])
        #expect(group.rows[0]?.settled == 5)
        #expect(group.ask(1).offsets == [5, 6])
    }

    @Test("What could not be read comes again, uncounted")
    func unread() {
        var group = SharedGroupDriver([0..<2])
        group.join(1)
        _ = group.ask(1)
        group.tell(.unread(1, tags: [1]))
        #expect(group.ask(1) == [.init(tag: 3, partition: 0, offset: 0, count: 1, isRedelivered: false)])
    }

    @Test("Partitions take turns, and are one queue")
    func partitions() {
        var group = SharedGroupDriver([0..<5, 0..<5, 0..<5])
        group.join(1, prefetch: 2)
        var seen: [Int] = []
        while case let more = group.ask(1), !more.isEmpty {
            seen += more.map(\.partition)
            group.settle(1, through: more.tags.last)
        }
        #expect(seen.count == 15)
        #expect(Set(seen.prefix(6)) == [0, 1, 2])
    }

    @Test("The row of a partition survives encoding, and a changed one is refused")
    func rows() throws {
        let row = SharedRow(settled: 7, mark: 1031, slots: [1, nil, 65_534, 0])
        let bytes = row.encoded
        #expect(try bytes.withUnsafeBytes { try SharedRow($0, "x") } == row)
        for length in 0..<bytes.count {
            #expect(throws: BrokerError.self) {
                try bytes[..<length].withUnsafeBytes { _ = try SharedRow($0, "x") }
            }
        }
    }
}
