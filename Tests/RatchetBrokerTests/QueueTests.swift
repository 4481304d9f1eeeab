import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct QueueTests {
    private func broker(_ texts: Range<Int> = 0..<0, partitions: Int = 1) async throws -> Broker {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: partitions)
        try await broker.createTopic("dead")
        try await broker.send(texts.map { .text("\($0)", to: "t", partition: $0 % partitions) })
        return broker
    }

    @Test("Deliveries carry tag, message and count, and what is acked does not come again")
    func deliveries() async throws {
        let broker = try await broker(0..<3)
        let consumer = try await broker.queue("t", as: "g").consumer()
        let deliveries = try await consumer.next()
        #expect(deliveries.map(\.message.text) == ["0", "1", "2"])
        #expect(deliveries.map(\.tag) == [1, 2, 3])
        #expect(deliveries.allSatisfy { $0.deliveryCount == 1 && !$0.isRedelivered })
        try await consumer.ack(2, multiple: true)
        consumer.close()
        let other = try await broker.queue("t", as: "g").consumer()
        let again = try await other.next()
        #expect(again.map(\.message.text) == ["2"])
        #expect(again[0].isRedelivered && again[0].deliveryCount == 2 && again[0].tag == 1)
        #expect(again[0].message.offset == 2)
        try await broker.close()
    }

    @Test("All partitions of a topic are one queue, and consumers share it")
    func sharing() async throws {
        let broker = try await broker(0..<40, partitions: 4)
        let queue = broker.queue("t", as: "g")
        let first = try await queue.consumer(prefetch: 10)
        let second = try await queue.consumer(prefetch: 10)
        var seen: [String] = []
        for _ in 0..<2 {
            for consumer in [first, second] {
                var tags: [Int64] = []
                while tags.count < 10 {
                    let deliveries = try await consumer.next()
                    tags += deliveries.map(\.tag)
                    seen += deliveries.map(\.message.text)
                }
                #expect(tags.count == 10)
                try await consumer.ack(tags)
            }
        }
        #expect(Set(seen) == Set((0..<40).map { "\($0)" }) && seen.count == 40)
        try await broker.close()
    }

    @Test("Of two consumers with other settings that come at the same time, one gets in")
    func settingsAtOnce() async throws {
        let broker = try await broker()
        let gate = await broker.storage.blocked()
        let wanted = [QueueSettings(), QueueSettings(deliveryLimit: 3, deadLetterTopic: "dead")]
        let consumers = try await withThrowingTaskGroup(of: QueueConsumer?.self) { group in
            for settings in wanted {
                group.addTask {
                    do {
                        return try await broker.queue("t", as: "g", settings: settings).consumer()
                    } catch let error as BrokerError where error.code == .invalidArgument {
                        return nil
                    }
                }
            }
            // Both have found nobody there.
            while broker.storage.waitingPieces < 2 { await Task.yield() }
            gate.open()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(consumers.count { $0 != nil } == 1)
        try await broker.close()
    }

    @Test("A call that waits is woken by a message, by room, and by what comes back")
    func waking() async throws {
        let broker = try await broker()
        let queue = broker.queue("t", as: "g")
        let consumer = try await queue.consumer(prefetch: 1)
        async let sent = consumer.next()
        try await broker.send(.text("0", to: "t"))
        #expect(try await sent.map(\.message.text) == ["0"])
        try await broker.send(.text("1", to: "t"))
        async let room = consumer.next()
        try await consumer.ack(1)
        #expect(try await room.map(\.message.text) == ["1"])
        let other = try await queue.consumer()
        async let back = other.next()
        try await consumer.nack(2, requeue: true)
        #expect(try await back.map(\.message.text) == ["1"])
        try await broker.close()
    }

    @Test("A call that is cancelled loses nothing")
    func cancellation() async throws {
        let broker = try await broker()
        let consumer = try await broker.queue("t", as: "g").consumer()
        var seen: [String] = []
        for number in 0..<50 {
            seen += try await withThrowingTaskGroup(of: [String].self) { group in
                group.addTask {
                    do { return try await consumer.next().map(\.message.text) } catch is CancellationError { return [] }
                }
                if number.isMultiple(of: 2) { group.cancelAll() }
                try await broker.send(.text("\(number)", to: "t"))
                group.cancelAll()
                return try await group.next() ?? []
            }
        }
        while seen.count < 50 { seen += try await consumer.next().map(\.message.text) }
        #expect(seen == (0..<50).map { "\($0)" })
        try await broker.close()
    }

    @Test("Answers of a consumer that is closed, evicted, or of a deleted topic are refused")
    func fencing() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        try await broker.send(.text("0", to: "t"))
        let closed = try await broker.queue("t", as: "g").consumer()
        _ = try await closed.next()
        closed.close()
        await expectRefusal(.fenced) { try await closed.ack(1) }
        await expectRefusal(.fenced) { _ = try await closed.next() }
        let silent = try await broker.queue("t", as: "g").consumer()
        #expect(try await silent.next()[0].isRedelivered)
        clock.advance(by: .seconds(46))
        broker.queues.tick()
        await expectRefusal(.fenced) { try await silent.ack(1) }
        let third = try await broker.queue("t", as: "g").consumer()
        #expect(third.id > silent.id && silent.id > closed.id)
        #expect(try await third.next()[0].deliveryCount == 3)
        await expectRefusal(.invalidArgument) { try await third.ack(2) }
        try await broker.deleteTopic("t")
        await expectRefusal(.unknownTopic) { try await third.ack(1) }
        await expectRefusal(.unknownTopic) { _ = try await third.next() }
        try await broker.createTopic("t")
        try await broker.send(.text("new", to: "t"))
        let fourth = try await broker.queue("t", as: "g").consumer()
        #expect(try await fourth.next().map(\.deliveryCount) == [1])
        try await broker.close()
    }

    private func expectRefusal(_ code: SourceError.Code, _ body: () async throws -> Void) async {
        let error = await #expect(throws: SourceError.self) { try await body() }
        #expect(error?.code == code, "\(error.map { "\($0)" } ?? "nothing")")
    }

    @Test("A rejected message is in the dead-letter topic, with what became of it, when the call returns")
    func deadLetter() async throws {
        let broker = try await broker(0..<2)
        let settings = QueueSettings(deliveryLimit: 2, deadLetterTopic: "dead")
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        _ = try await consumer.next()
        try await consumer.nack(1, requeue: false)
        #expect(try await broker.texts(TopicPartition("dead", 0)) == ["0"])
        try await consumer.nack(2, requeue: true)
        #expect(try await consumer.next().map(\.message.text) == ["1"])
        try await consumer.nack(3, requeue: true)
        var letters: [Message] = []
        for try await batch in try broker.read(TopicPartition("dead", 0)) {
            letters += (0..<batch.count).map { batch[$0] }
        }
        #expect(letters.map(\.text) == ["0", "1"])
        #expect(
            letters.map { $0.header("dead-letter-reason").map { String(decoding: $0, as: UTF8.self) } } == [
                "rejected", "delivery-limit",
            ]
        )
        #expect(letters.map { $0.header("dead-letter-deliveries") } == [Array("1".utf8), Array("2".utf8)])
        try await broker.close()
    }

    @Test("A message as large as its topic allows becomes a dead letter all the same", arguments: [1 << 20, 64 << 20])
    func largeDeadLetter(limit: Int) async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        for topic in ["t", "dead"] { try await broker.createTopic(topic, maximumMessageSize: limit) }
        let empty = OutgoingMessage(to: "t", payload: [])
        var size = OutgoingBatch()
        try size.append(empty)
        let payload = [UInt8](repeating: 7, count: limit - size.byteCount)
        try await broker.send(OutgoingMessage(to: "t", payload: payload))
        let settings = QueueSettings(deadLetterTopic: "dead")
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        try await consumer.nack(try await consumer.next()[0].tag, requeue: false)
        var letters: [Message] = []
        for try await batch in try broker.read(TopicPartition("dead", 0)) { letters.append(batch[0]) }
        #expect(letters.count == 1 && letters.first?.payload == payload)
        try await broker.close()
    }

    @Test("A dead letter that becomes one again says what became of it last, and says it once")
    func deadLetterAgain() async throws {
        let broker = try await broker(0..<1)
        try await broker.createTopic("deader")
        for (topic, dead) in [("t", "dead"), ("dead", "deader")] {
            let settings = QueueSettings(deadLetterTopic: dead)
            let consumer = try await broker.queue(topic, as: "g", settings: settings).consumer()
            try await consumer.nack(try await consumer.next()[0].tag, requeue: false)
        }
        for try await batch in try broker.read(TopicPartition("deader", 0)) {
            let topics = batch[0].headers.filter { $0.name == "dead-letter-topic" }
            #expect(topics == [Header("dead-letter-topic", "dead")])
            #expect(batch[0].headers.count == 6)
        }
        #expect(try await broker.texts(TopicPartition("deader", 0)) == ["0"])
        try await broker.close()
    }

    @Test("What cannot be moved to the dead-letter topic is delivered again, and the call says so")
    func deadLetterTopicGone() async throws {
        let broker = try await broker(0..<1)
        let settings = QueueSettings(deliveryLimit: 1, deadLetterTopic: "dead")
        let consumer = try await broker.queue("t", as: "g", settings: settings).consumer()
        _ = try await consumer.next()
        try await broker.deleteTopic("dead")
        let error = await #expect(throws: MessageError.self) { try await consumer.nack(1, requeue: false) }
        #expect(error?.code == .unknownTopic)
        #expect(try await consumer.next()[0].deliveryCount == 2)
        try await broker.createTopic("dead")
        consumer.close()
        // What is sent now is behind it.
        try await broker.send(.text("behind", to: "dead"))
        #expect(try await broker.texts(TopicPartition("dead", 0)) == ["0", "behind"])
        try await broker.close()
    }

    @Test("Settings that would lose messages, and those that others do not have, are refused")
    func settings() async throws {
        let broker = try await broker()
        func refusal(_ settings: QueueSettings, prefetch: Int = 1) async -> (any Error)? {
            do {
                _ = try await broker.queue("t", as: "g", settings: settings).consumer(prefetch: prefetch)
                return nil
            } catch { return error }
        }
        #expect((await refusal(QueueSettings(deliveryLimit: 3)) as? BrokerError)?.code == .invalidArgument)
        #expect((await refusal(QueueSettings(deadLetterTopic: "none")) as? SourceError)?.code == .unknownTopic)
        #expect((await refusal(QueueSettings(), prefetch: 0) as? BrokerError)?.code == .invalidArgument)
        #expect(broker.subscribe(toQueues: "t", as: "g", prefetch: 7).inFlightLimit == 7)
        var wide = QueueSettings()
        wide.spread = 32_769
        #expect((await refusal(wide) as? BrokerError)?.code == .invalidArgument)
        let consumer = try await broker.queue("t", as: "g").consumer()
        let other = QueueSettings(deliveryLimit: 3, deadLetterTopic: "dead")
        #expect((await refusal(other) as? BrokerError)?.code == .invalidArgument)
        consumer.close()
        #expect(await refusal(other) == nil)
        try await broker.close()
    }

    @Test("A first message that is larger than the limits comes alone, and those behind it with the next call")
    func byteLimit() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumFetchBytes = 1000
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        let sizes = [5000, 400, 400, 400, 5000]
        try await broker.send(sizes.map { OutgoingMessage(to: "t", payload: Array(repeating: 7, count: $0)) })
        let consumer = try await broker.queue("t", as: "g").consumer()
        var seen: [[Int]] = []
        while seen.joined().count < 5 { seen.append(try await consumer.next().map(\.message.payload.count)) }
        #expect(seen == [[5000], [400, 400], [400], [5000]])
        #expect(try await consumer.ack(5, multiple: true) == ())
        try await broker.close()
    }

    @Test("What retention has removed is passed over")
    func retention() async throws {
        let wall = ManualWallClock()
        var configuration = Broker.Configuration.quiet
        configuration.time = TimeSource(wall: wall.read, monotonic: { 0 })
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", retention: Retention(time: .seconds(60)))
        try await broker.send((0..<3).map { .text("\($0)", to: "t") })
        let consumer = try await broker.queue("t", as: "g").consumer(prefetch: 2)
        #expect(try await consumer.next().count == 2)
        wall.advance(by: .seconds(61))
        try await broker.send(.text("3", to: "t"))
        try await broker.clean()
        try await consumer.ack(2, multiple: true)
        #expect(try await consumer.next().map(\.message.text) == ["3"])
        try await broker.close()
    }

    @Test("An ack of all up to a tag that never was is refused, not taken for an ack of nothing")
    func noTag() async throws {
        let broker = try await broker(0..<2)
        let consumer = try await broker.queue("t", as: "g").consumer()
        _ = try await consumer.next()
        for tag: Int64 in [0, -1, .min, 3, .max] {
            await expectRefusal(.invalidArgument) { try await consumer.ack(tag, multiple: true) }
            await expectRefusal(.invalidArgument) { try await consumer.nack(tag, multiple: true, requeue: true) }
        }
        try await consumer.ack(2, multiple: true)
        let session = try await broker.subscribe(toQueues: "t", as: "h").open()
        let assigned = try await session.nextAssigned()
        try await session.start(assigned)
        _ = try await session.nextMessages()
        // One that is before the first acks nothing.
        try await session.commit([
            OffsetCommit(
                partition: assigned[0].partition,
                offset: .min,
                generation: assigned[0].generation,
                metadata: ""
            )
        ])
        try await broker.close()
    }
}
