import Ratchet
import Testing

@testable import RatchetBroker

/// Topics that confirm before they write: what a crash takes, and what nobody is ever shown.
@Suite("Messages that are confirmed before they are written", .timeLimit(.minutes(30)))
struct EarlyConfirmTests {
    private static let partition = TopicPartition("t", 0)

    private static func message(_ number: Int, to topic: String = "t") -> OutgoingMessage {
        OutgoingMessage(to: topic, payload: Array("\(number)".utf8), partition: 0)
    }

    /// Nothing is written because of the time.
    private static func opened(
        _ directory: TemporaryDirectory,
        bytes: Int = 16 << 20,
        nodes: Int = 1
    ) async throws -> Broker {
        var configuration = Broker.Configuration.quiet
        configuration.maximumUnwrittenTime = .seconds(3600)
        configuration.maximumUnwrittenBytes = bytes
        configuration.nodes = nodes
        return try await Broker(at: directory.broker, configuration: configuration)
    }

    @Test("A crash loses what was confirmed and not written, and its offsets are given again")
    func crash() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t", confirmsAfterWrite: false)
        #expect(try await broker.send(Self.message(0)).offset == 0)
        // Writes, and with it all that was confirmed before.
        try await broker.createTopic("kept")
        let producer = try await broker.producer()
        for number in 1...5 { #expect(try await producer.send(Self.message(number)).offset == Int64(number)) }
        #expect(try await broker.texts(Self.partition) == ["0"])
        await broker.storage.crash()

        let next = try await Self.opened(directory)
        #expect(try next.describe("t").settings.confirmsAfterWrite == false)
        #expect(try await next.texts(Self.partition) == ["0"])
        #expect(try await next.send(Self.message(6)).offset == 1)
        // Closing in good order writes.
        try await next.close()
        let last = try await Self.opened(directory)
        #expect(try await last.texts(Self.partition) == ["0", "6"])
        try await last.close()
    }

    @Test("A topic that confirms after the write loses nothing in the same crash, and what it writes saves the others'")
    func writtenFirst() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t", confirmsAfterWrite: false)
        try await broker.createTopic("kept")
        #expect(try broker.describe("kept").settings.confirmsAfterWrite)
        try await broker.send(Self.message(0))
        try await broker.send(Self.message(1, to: "kept"))
        try await broker.send(Self.message(2))
        try await broker.alterTopic("t", confirmsAfterWrite: true)
        try await broker.send(Self.message(3))
        try await broker.alterTopic("t", confirmsAfterWrite: false)
        try await broker.send(Self.message(4))
        await broker.storage.crash()
        let next = try await Self.opened(directory)
        #expect(try await next.texts(Self.partition) == ["0", "2", "3"])
        #expect(try await next.texts(TopicPartition("kept", 0)) == ["1"])
        try await next.close()
    }

    @Test("No consumer is given a message that a crash can take, so no committed offset is beyond the log's end")
    func consumers() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t", confirmsAfterWrite: false)
        let session = try await broker.subscribe(to: "t", as: "g").open()
        let assignments = try await session.nextAssigned()
        try await session.start(assignments)
        try await broker.send(Self.message(0))
        try await broker.createTopic("kept")
        #expect(try await session.nextMessages().texts == ["0"])
        try await broker.send((1...3).map { Self.message($0) })
        // Not even who asks for it by its offset.
        #expect(try await session.message(at: 1, of: Self.partition) == nil)
        #expect(try broker.logEnds(of: "t") == [Self.partition: 1])
        func commit(_ offset: Int64) -> OffsetCommit {
            OffsetCommit(
                partition: Self.partition,
                offset: offset,
                generation: assignments[0].generation,
                metadata: ""
            )
        }
        let refusal = await #expect(throws: SourceError.self) { try await session.commit([commit(2)]) }
        #expect(refusal?.code == .invalidArgument)
        // A commit is a write as any other: the messages are there from then on.
        try await session.commit([commit(1)])
        #expect(try await session.nextMessages().texts == ["1", "2", "3"])
        try await broker.send(Self.message(4))
        await broker.storage.crash()

        let next = try await Self.opened(directory)
        let other = try await next.subscribe(to: "t", as: "g").open()
        let again = try await other.nextAssigned()
        #expect(again[0].committed?.offset == 1 && again[0].log == 0..<4)
        try await next.close()
    }

    @Test("It is written after the time, or once it has the bytes, though nothing else is")
    func bounds() async throws {
        let directory = try TemporaryDirectory()
        let full = try await Self.opened(directory, bytes: 200)
        try await full.createTopic("t", confirmsAfterWrite: false)
        let session = try await full.subscribe(to: "t", as: "g").open()
        try await session.start(try await session.nextAssigned())
        for number in 0..<20 { try await full.send(Self.message(number)) }
        var seen: [String] = []
        while seen.count < 16 { seen += try await session.nextMessages().texts }
        try await full.close()

        var configuration = Broker.Configuration.quiet
        configuration.maximumUnwrittenTime = .milliseconds(1)
        let timed = try await Broker(at: directory.broker, configuration: configuration)
        let other = try await timed.subscribe(to: "t", as: "g").open()
        try await other.start(try await other.nextAssigned())
        try await timed.send(Self.message(20))
        seen = []
        while seen.last != "20" { seen += try await other.nextMessages().texts }
        #expect(seen == (0...20).map { "\($0)" })
        try await timed.close()
        for change in [{ $0.maximumUnwrittenBytes = 0 }, { $0.maximumUnwrittenTime = .zero }]
            as [(inout Broker.Configuration) -> Void]
        {
            var wrong = Broker.Configuration.quiet
            change(&wrong)
            await #expect(throws: BrokerError.self) { try await Broker.inMemory(configuration: wrong) }
        }
    }

    @Test("A repeat and a gap are known though what they are compared with is not written")
    func sequences() async throws {
        let directory = try TemporaryDirectory()
        var configuration = Broker.Configuration.quiet
        configuration.maximumUnwrittenTime = .seconds(3600)
        let faults = Notes<Int>()
        configuration.producerFault = {
            faults.add(1)
            return faults.all.count == 2 ? .answerLost : nil
        }
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t", confirmsAfterWrite: false)
        var settings = ProducerSettings()
        settings.retryDelay = .milliseconds(1)
        let producer = try await broker.producer(settings)
        for number in 0..<4 { #expect(try await producer.send(Self.message(number)).offset == Int64(number)) }
        #expect(faults.all.count == 5)
        try await broker.createTopic("kept")
        #expect(try await broker.texts(Self.partition) == ["0", "1", "2", "3"])
        try await broker.close()
    }

    @Test("A transaction is written before it is confirmed, whatever the topic says")
    func transactions() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t", confirmsAfterWrite: false)
        let producer = try await broker.producer(ProducerSettings(transactionalID: "shop"))
        try await broker.send(Self.message(0))
        try await producer.transaction { try $0.send(Self.message(1)) }
        await broker.storage.crash()
        let next = try await Self.opened(directory)
        #expect(try await next.texts(Self.partition) == ["0", "1"])
        try await next.close()
    }

    @Test("With replicas a killed leader loses what it alone has confirmed; who waits for all loses nothing")
    func replicas() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory, nodes: 3)
        try await broker.createTopic("t", replicationFactor: 3, minInSyncReplicas: 2, confirmsAfterWrite: false)
        try await broker.send(Self.message(0), acks: .all)
        let leader = try #require(try broker.describe("t").partitions[0].replication?.leader)
        #expect(try await broker.send(Self.message(1), acks: .leader).offset == 1)
        await broker.nodes[leader].kill()
        while try broker.describe("t").partitions[0].replication?.leader == nil { await Task.yield() }
        try await broker.nodes[leader].start()
        try await broker.send(Self.message(2), acks: .all)
        #expect(try await broker.texts(Self.partition) == ["0", "2"])
        try await broker.close()
    }

    @Test("The audit names it")
    func audit() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("early", confirmsAfterWrite: false)
        try await broker.createTopic("t")
        func verdict(_ topic: String) throws -> AuditCheck.Verdict? {
            try broker.audit(topic: topic).checks.first { $0.name == "topic.confirm-after-write" }?.verdict
        }
        #expect(try verdict("early") == .fail)
        #expect(try verdict("t") == .pass)
        try await broker.close()
    }
}
