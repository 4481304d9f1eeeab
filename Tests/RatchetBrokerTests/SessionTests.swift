import Ratchet
import Testing

@testable import RatchetBroker

@Suite struct SessionTests {
    private let partition = TopicPartition("t", 0)

    private func started(
        _ broker: Broker,
        partitions: Int = 1
    ) async throws -> (any SourceSession, generation: Int64) {
        try await broker.createTopic("t", partitions: partitions)
        let session = try await broker.subscribe(to: "t", as: "g").open()
        let assignments = try await session.nextAssigned()
        try await session.start(assignments)
        return (session, assignments[0].generation)
    }

    @Test("A source names its broker, group and kind")
    func names() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.random = { 42 }
        let broker = try await Broker.inMemory(configuration: configuration)
        let source: any Source = broker.subscribe(to: ["a", "b"], as: "g")
        #expect(source.cluster == broker.id && broker.id.count == 32)
        #expect(source.group == "g")
        #expect(source.system == "ratchet")
        let same = try await Broker.inMemory(configuration: configuration)
        #expect(same.id == broker.id)
        try await same.close()
        try await broker.close()
    }

    @Test("Subscribing to what does not exist fails at opening")
    func unknownTopic() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        let error = await #expect(throws: SourceError.self) {
            try await broker.subscribe(to: ["t", "nowhere"], as: "g").open()
        }
        #expect(error?.code == .unknownTopic)
        for topics in [[], ["t", "t"]] {
            let error = await #expect(throws: SourceError.self) {
                try await broker.subscribe(to: topics, as: "g").open()
            }
            #expect(error?.code == .invalidArgument)
        }
        try await broker.close()
    }

    @Test("Groups are bounded")
    func groupLimit() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumGroups = 1
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        let first = try await broker.subscribe(to: "t", as: "a").open()
        let second = try await broker.subscribe(to: "t", as: "a").open()
        let error = await #expect(throws: BrokerError.self) { try await broker.subscribe(to: "t", as: "b").open() }
        #expect(error?.code == .limitReached)
        await first.close()
        await second.close()
        try await broker.close()
    }

    @Test("Nothing is delivered before start, and then from there")
    func start() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        for number in 0..<6 { try await broker.send(.text("\(number)", to: "t", partition: number % 2)) }
        let session = try await broker.subscribe(to: "t", as: "g").open()
        let generation = try await session.nextAssigned()[0].generation
        try await session.start(TopicPartition("t", 1), at: 1, generation: generation)
        let batch = try await session.nextMessages()
        #expect(batch.texts == ["3", "5"])
        #expect(batch.startOffset == 1 && batch.generation == generation)
        // Partition 0 was not started: there is nothing to deliver, and a moved start delivers again.
        try await session.start(TopicPartition("t", 1), at: 2, generation: generation)
        #expect(try await session.nextMessages().texts == ["5"])

        for offset in [-1, 4] as [Int64] {
            let error = await #expect(throws: SourceError.self) {
                try await session.start(partition, at: offset, generation: generation)
            }
            #expect(error?.code == .offsetOutOfRange)
        }
        let fenced = await #expect(throws: SourceError.self) {
            try await session.start(partition, at: 0, generation: generation - 1)
        }
        #expect(fenced?.code == .fenced)
        let absent = await #expect(throws: SourceError.self) {
            try await session.start(TopicPartition("t", 2), at: 0, generation: generation)
        }
        #expect(absent?.code == .notAssigned)
        try await broker.close()
    }

    @Test("Many small sends arrive as few batches, in order, within the limits")
    func joining() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumFetchMessages = 7
        configuration.maximumFetchBytes = 200
        let broker = try await Broker.inMemory(configuration: configuration)
        let (session, _) = try await started(broker)
        for number in 0..<40 { try await broker.send(.text("\(number)", to: "t")) }
        try await broker.send(OutgoingMessage(to: "t", payload: [UInt8](repeating: 65, count: 500)))
        var sizes: [Int] = []
        var next: Int64 = 0
        while next < 41 {
            let batch = try await session.nextMessages()
            #expect(batch.startOffset == next)
            #expect(batch.count == 1 || batch.byteCount <= 200)
            sizes.append(batch.count)
            next = batch.lastOffset + 1
        }
        #expect(sizes.dropLast().allSatisfy { 6...7 ~= $0 || $0 == 40 % 7 })
        #expect(sizes.last == 1)
        try await broker.close()
    }

    @Test("Partitions take turns")
    func turns() async throws {
        var configuration = Broker.Configuration.quiet
        configuration.maximumFetchMessages = 1
        let broker = try await Broker.inMemory(configuration: configuration)
        let (session, _) = try await started(broker, partitions: 3)
        try await broker.send((0..<9).map { .text("\($0)", to: "t", partition: $0 % 3) })
        var order: [Int] = []
        for _ in 0..<9 { order.append(try await session.nextMessages().partition.partition) }
        for round in stride(from: 0, to: 9, by: 3) { #expect(Set(order[round..<round + 3]).count == 3) }
        try await broker.close()
    }

    @Test("A waiting call is woken by the next message")
    func waking() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let (session, _) = try await started(broker)
        for number in 0..<200 {
            async let batch = session.nextMessages()
            try await broker.send(.text("\(number)", to: "t"))
            #expect(try await batch.texts == ["\(number)"])
        }
        try await broker.close()
    }

    @Test("A paused partition delivers nothing and keeps its place")
    func pause() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let (session, _) = try await started(broker, partitions: 2)
        session.setPaused(true, partition)
        session.setPaused(true, TopicPartition("elsewhere", 0))
        try await broker.send([.text("a", to: "t", partition: 0), .text("b", to: "t", partition: 1)])
        #expect(try await session.nextMessages().texts == ["b"])
        try await broker.send([.text("c", to: "t", partition: 0), .text("d", to: "t", partition: 1)])
        #expect(try await session.nextMessages().texts == ["d"])
        async let batch = session.nextMessages()
        session.setPaused(false, partition)
        #expect(try await batch.texts == ["a", "c"])
        try await broker.close()
    }

    @Test("A cancelled call throws and the session goes on; a second call at a time is refused")
    func cancellation() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let (session, _) = try await started(broker)
        let waiting = Task { try await session.next() }
        let member = try #require((session as? BrokerSession)?.member)
        while !member.isWaiting { await Task.yield() }
        let error = await #expect(throws: SourceError.self) { try await session.next() }
        #expect(error?.code == .invalidArgument)
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await session.next()
        }
        await #expect(throws: CancellationError.self) { try await early.value }
        try await broker.send(.text("a", to: "t"))
        #expect(try await session.nextMessages().texts == ["a"])
        try await broker.close()
    }

    @Test("Commits are bounded, idempotent, and the last one counts")
    func commits() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let (session, generation) = try await started(broker, partitions: 2)
        for number in 0..<5 { try await broker.send(.text("\(number)", to: "t", partition: 0)) }
        func commit(_ offset: Int64, _ metadata: String = "m", partition: TopicPartition? = nil) async throws {
            let other = OffsetCommit(
                partition: TopicPartition("t", 1),
                offset: 0,
                generation: generation,
                metadata: "other"
            )
            let partition = partition ?? self.partition
            try await session.commit([
                other, OffsetCommit(partition: partition, offset: offset, generation: generation, metadata: metadata),
            ])
        }
        for (offset, metadata) in [(-1, ""), (6, ""), (1, String(repeating: "x", count: 4097))] as [(Int64, String)] {
            let error = await #expect(throws: SourceError.self) { try await commit(offset, metadata) }
            #expect(error?.code == .invalidArgument)
        }
        let unknown = await #expect(throws: SourceError.self) { try await commit(0, partition: TopicPartition("u", 0)) }
        #expect(unknown?.code == .unknownTopic)
        // The other one of the same call was not committed either.
        #expect(try broker.offsets(group: "g").isEmpty)
        for _ in 0..<3 { try await commit(5, String(repeating: "x", count: 4096)) }
        try await commit(3)
        #expect(try broker.offsets(group: "g")[partition] == CommittedOffset(offset: 3, metadata: "m"))
        try await session.commit([])
        #expect(try broker.offsets(group: "other").isEmpty)
        try await broker.close()
    }

    @Test("An operator resets a position that nobody owns, and it is told from a commit")
    func reset() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let (session, generation) = try await started(broker)
        for number in 0..<5 { try await broker.send(.text("\(number)", to: "t")) }
        try await session.commit([
            OffsetCommit(partition: partition, offset: 5, generation: generation, metadata: "m")
        ])
        let active = await #expect(throws: BrokerError.self) {
            try await broker.resetOffset(group: "g", partition: partition, to: 2)
        }
        #expect(active?.code == .groupIsActive)
        await session.close()
        for offset in [-1, 6] as [Int64] {
            let error = await #expect(throws: BrokerError.self) {
                try await broker.resetOffset(group: "g", partition: partition, to: offset)
            }
            #expect(error?.code == .invalidArgument)
        }
        let unknown = await #expect(throws: BrokerError.self) {
            try await broker.resetOffset(group: "g", partition: TopicPartition("t", 1), to: 0)
        }
        #expect(unknown?.code == .unknownTopic)
        try await broker.resetOffset(group: "g", partition: partition, to: 2)
        let again = try await broker.subscribe(to: "t", as: "g").open()
        let assignment = try await again.nextAssigned()[0]
        #expect(assignment.committed == CommittedOffset(offset: 2, metadata: ""))
        try await broker.close()
    }

    @Test("Reading without a group ends at the end that the log had at the call")
    func plainReading() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        for number in 0..<5 { try await broker.send(.text("\(number)", to: "t")) }
        let log = try broker.read(partition, from: 1, maximumMessages: 3)
        try await broker.send(.text("later", to: "t"))
        var texts: [[String]] = []
        for try await batch in log { texts.append(batch.texts) }
        #expect(texts == [["1", "2", "3"], ["4"]])
        #expect(try await broker.texts(partition).count == 6)
        for (offset, maximum) in [(7, 1), (-1, 1), (0, 0)] as [(Int64, Int)] {
            #expect(throws: SourceError.self) { try broker.read(partition, from: offset, maximumMessages: maximum) }
        }
        #expect(throws: SourceError.self) { try broker.read(TopicPartition("t", 1)) }
        try await broker.close()
    }
}
