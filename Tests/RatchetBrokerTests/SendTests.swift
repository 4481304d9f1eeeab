import LMDB
import Ratchet
import Seeds
import Synchronization
import Testing

@testable import RatchetBroker

@Suite struct SendTests {
    @Test("As a sink: behind a message that cannot be written none of its key is, and all others are")
    func orderBehindFault() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", maximumMessageSize: 64)
        let long = String(repeating: "x", count: 64)
        let batch = try OutgoingBatch([
            .text("1", to: "t", key: "a"), .text(long, to: "t", key: "a"), .text("2", to: "t", key: "b"),
            .text("3", to: "t", key: "a"), .text("4", to: "t"),
        ])
        let failures: [SinkFailure] = try await broker.send(batch)
        #expect(failures.map(\.index) == [1, 3])
        #expect(try await broker.texts(TopicPartition("t", 0)) == ["1", "2", "4"])
        try await broker.close()
    }

    @Test("Offsets are dense in each partition and keep each producer's order")
    func concurrentProducers() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 3)
        let (producers, rounds) = (8, 40)
        let receipts = try await withThrowingTaskGroup(of: [RecordMetadata].self) { group in
            for producer in 0..<producers {
                group.addTask {
                    var receipts: [RecordMetadata] = []
                    for round in 0..<rounds {
                        let messages = (0..<5).map { index in
                            OutgoingMessage.text("\(producer) \(round * 5 + index)", to: "t", partition: index % 3)
                        }
                        receipts += try await broker.send(messages)
                    }
                    return receipts
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(receipts).count == producers * rounds * 5)
        for number in 0..<3 {
            let partition = TopicPartition("t", number)
            let texts = try await broker.texts(partition)
            let offsets = receipts.filter { $0.partition == partition }.map(\.offset).sorted()
            #expect(offsets == Array(0..<Int64(texts.count)))
            for producer in 0..<producers {
                let own = texts.filter { $0.hasPrefix("\(producer) ") }.compactMap { Int($0.split(separator: " ")[1]) }
                #expect(own == own.sorted())
                #expect(own.count == rounds * (number == 2 ? 1 : 2))
            }
        }
        try await broker.close()
    }

    @Test("A receipt says where the message is")
    func receipts() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 4)
        try await broker.createTopic("u")
        let messages = (0..<50).map { number in
            OutgoingMessage.text("\(number)", to: number % 7 == 0 ? "u" : "t", key: "key \(number)")
        }
        let receipts = try await broker.send(messages)
        for (message, receipt) in zip(messages, receipts) {
            let stored = try broker.message(at: receipt.offset, of: receipt.partition, generation: 0)
            #expect(stored?.payload == message.payload)
            #expect(stored?.key == message.key)
            #expect(receipt.partition.topic == message.topic)
        }
        try await broker.close()
    }

    @Test("Keys choose the partition as Kafka does; without a key batches take turns")
    func partitions() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 5)
        for (key, hash) in [("21", -973_932_308), ("foobar", -790_332_482), ("abc", 479_470_107)] {
            let receipt = try await broker.send(.text("x", to: "t", key: key))
            #expect(receipt.partition.partition == (hash & 0x7FFF_FFFF) % 5)
        }
        var turns: [Int] = []
        for _ in 0..<10 {
            let receipts = try await broker.send([.text("x", to: "t"), .text("y", to: "t")])
            #expect(receipts[0].partition == receipts[1].partition)
            turns.append(receipts[0].partition.partition)
        }
        #expect(Set(turns[..<5]).count == 5)
        #expect(turns[..<5] == turns[5...])
        try await broker.close()
    }

    @Test("Sends that wait at the same time share a chunk and a sync")
    func groupCommit() async throws {
        let sends = 200
        let arrived = Mutex(0)
        let (opened, open) = AsyncStream.makeStream(of: Void.self)
        var configuration = Broker.Configuration.quiet
        // Read once by each send that is about to be enqueued.
        configuration.time.wall = {
            let isLast = arrived.withLock { count in
                count += 1
                return count == sends
            }
            if isLast { open.finish() }
            return 1
        }
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        let gate = Gate()
        broker.storage.submit(
            WriteJob(byteCount: 0, reclaims: false) { _ in
                gate.wait()
            } done: { _ in
            }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<sends { group.addTask { _ = try await broker.send(.text("\(number)", to: "t")) } }
            for await _ in opened {}
            gate.open()
            try await group.waitForAll()
        }
        let tables = broker.storage.tables
        let chunks = try broker.storage.read { try $0.count(tables.log) }
        // The last sends may have missed the first piece by a moment.
        #expect(1...4 ~= chunks)
        #expect(try await broker.texts(TopicPartition("t", 0)).count == sends)
        try await broker.close()
    }

    @Test("A batch is written whole or not at all")
    func allOrNone() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 2, maximumMessageSize: 1000)
        let good = OutgoingMessage.text("good", to: "t", partition: 0)
        let bad: [(OutgoingMessage, MessageError.Code)] = [
            (OutgoingMessage(to: "t", payload: [UInt8](repeating: 0, count: 1000)), .tooLarge),
            (.text("x", to: "nowhere"), .unknownTopic),
            (.text("x", to: "t", partition: 2), .unknownPartition),
            (.text("x", to: "t", key: ""), .emptyKey),
            (OutgoingMessage(to: "t", payload: [], headers: [Header("", "x")]), .invalidHeader),
        ]
        for (message, code) in bad {
            let error = await #expect(throws: MessageError.self) { try await broker.send([good, message, good]) }
            #expect(error?.code == code)
            await #expect(throws: MessageError.self) { try await broker.send(message) }
        }
        #expect(try broker.describe("t").partitions.allSatisfy { $0.log == 0..<0 })
        let largest = OutgoingMessage(to: "t", payload: [UInt8](repeating: 0, count: 1000 - 24))
        #expect(try await broker.send(largest).offset == 0)
        try await broker.close()
    }

    @Test("As a sink, messages at fault fail alone and by index")
    func sink() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        let sink: any Sink = broker
        let failures = try await sink.send(
            OutgoingBatch([
                .text("a", to: "nowhere"), .text("b", to: "t"), .text("c", to: "t", partition: 9), .text("d", to: "t"),
            ])
        )
        #expect(failures.map(\.index) == [0, 2])
        #expect((failures[0].error as? MessageError)?.code == .unknownTopic)
        #expect((failures[1].error as? MessageError)?.code == .unknownPartition)
        #expect(try await broker.texts(TopicPartition("t", 0)) == ["b", "d"])
        #expect(try await sink.send(OutgoingBatch()).isEmpty)
        #expect(try await sink.send(OutgoingBatch([.text("a", to: "nowhere")])).map(\.index) == [0])
        try await broker.close()
    }

    @Test("Large batches become several chunks and read back in order")
    func splitting() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", maximumMessageSize: 4 << 20)
        var random = SeededRandom(state: 1)
        var sizes = (0..<25_000).map { _ in Int.random(in: 0..<200, using: &random) }
        sizes[100] = 3 << 20
        sizes[101] = 2 << 20
        let messages = sizes.enumerated().map { number, size in
            OutgoingMessage(to: "t", key: "\(number)", payload: [UInt8](repeating: UInt8(number & 255), count: size))
        }
        #expect(try await broker.send(messages).map(\.offset) == Array(0..<25_000))
        let tables = broker.storage.tables
        #expect(try broker.storage.read { try $0.count(tables.log) } > 3)
        var next = 0
        for try await batch in try broker.read(TopicPartition("t", 0), maximumMessages: 777) {
            #expect(batch.count <= 777)
            #expect(batch.count == 1 || batch.byteCount <= 1 << 20)
            for index in 0..<batch.count {
                #expect(batch[index].offset == Int64(next))
                #expect(batch[index].payload.count == sizes[next])
                #expect(batch[index].key == Array("\(next)".utf8))
                next += 1
            }
        }
        #expect(next == 25_000)
        try await broker.close()
    }

    @Test("Timestamps are the broker's unless the producer gives one")
    func timestamps() async throws {
        let wallClock = ManualWallClock()
        var configuration = Broker.Configuration.quiet
        configuration.time.wall = wallClock.read
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        var batch = OutgoingBatch()
        try batch.append(to: "t", key: nil, payload: [1])
        try batch.append(to: "t", key: nil, payload: [2], timestamp: 77)
        try await broker.send(batch)
        let partition = TopicPartition("t", 0)
        #expect(try broker.message(at: 0, of: partition, generation: 0)?.timestamp == 1_000_000)
        #expect(try broker.message(at: 1, of: partition, generation: 0)?.timestamp == 77)
        try await broker.close()
    }

    @Test("A full broker refuses sends, stays usable, and goes on when space is freed")
    func full() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumBytes = 4 << 20
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        try await broker.createTopic("u")
        let session = try await broker.subscribe(to: "t", as: "g").open()
        let assignments = try await session.nextAssigned()
        let payload = [UInt8](repeating: 0, count: 500_000)
        let error = await #expect(throws: BrokerError.self) {
            for _ in 0..<100 { try await broker.send(OutgoingMessage(to: "t", payload: payload)) }
        }
        #expect(error?.code == .full)
        // What consumers need still works.
        try await session.commit([
            OffsetCommit(
                partition: TopicPartition("t", 0),
                offset: 1,
                generation: assignments[0].generation,
                metadata: ""
            )
        ])
        try await broker.deleteTopic("t")
        #expect(try await broker.send(OutgoingMessage(to: "u", payload: payload)).offset == 0)
        try await broker.close()
    }
}

@Suite struct ByteGateTests {
    @Test("Who goes beyond the limit waits, first come, first served; a lone giant passes")
    func order() async throws {
        let gate = ByteGate(limit: 10)
        try await gate.enter(100)
        let order = Notes<Int>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<3 {
                group.addTask {
                    try await gate.enter(10)
                    order.add(number)
                    gate.leave(10)
                }
                while gate.waiting <= number { await Task.yield() }
            }
            #expect(order.all.isEmpty)
            gate.leave(100)
            try await group.waitForAll()
        }
        #expect(order.all == [0, 1, 2])
    }

    @Test("A cancelled waiter leaves the queue and the next one passes")
    func cancellation() async throws {
        let gate = ByteGate(limit: 10)
        try await gate.enter(8)
        await withTaskGroup(of: Void.self) { group in
            let big = Task { try await gate.enter(10) }
            while gate.waiting < 1 { await Task.yield() }
            group.addTask { try? await gate.enter(2) }
            while gate.waiting < 2 { await Task.yield() }
            big.cancel()
            await #expect(throws: CancellationError.self) { try await big.value }
            await group.waitForAll()
        }
        #expect(gate.waiting == 0)
    }

    @Test("Closing fails who waits and who comes")
    func closing() async throws {
        let gate = ByteGate(limit: 1)
        try await gate.enter(1)
        let waiter = Task { try await gate.enter(1) }
        while gate.waiting < 1 { await Task.yield() }
        gate.close(BrokerError(.closed, "over"))
        await #expect(throws: BrokerError.self) { try await waiter.value }
        await #expect(throws: BrokerError.self) { try await gate.enter(0) }
    }
}
