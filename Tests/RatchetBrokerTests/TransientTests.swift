import Ratchet
import Testing

@testable import RatchetBroker

@Suite("Messages and topics that do not outlive the broker")
struct TransientTests {
    private static let partition = TopicPartition("t", 0)

    private static func message(_ number: Int, isPersistent: Bool, to topic: String = "t") -> OutgoingMessage {
        OutgoingMessage(to: topic, payload: Array("\(number)".utf8), partition: 0, isPersistent: isPersistent)
    }

    private static func opened(_ directory: TemporaryDirectory) async throws -> Broker {
        try await Broker(at: directory.broker, configuration: .quiet)
    }

    @Test("Transient messages are delivered in their place, and are gone after a restart; persistent ones are there")
    func messages() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t")
        let metadata = try await broker.send((0..<12).map { Self.message($0, isPersistent: $0 % 4 == 1) })
        #expect(metadata.map(\.offset) == Array(0..<12))
        try await broker.send(Self.message(12, isPersistent: false))
        #expect(try await broker.texts(Self.partition) == (0...12).map { "\($0)" })
        let bytes = try broker.describe("t").partitions[0].bytes
        try await broker.close()

        let next = try await Self.opened(directory)
        #expect(try await next.texts(Self.partition) == ["1", "5", "9"])
        // Their offsets are not given again.
        #expect(try await next.send(Self.message(13, isPersistent: true)).offset == 13)
        #expect(try next.describe("t").partitions[0].bytes < bytes)
        try await next.close()
        let last = try await Self.opened(directory)
        #expect(try await last.texts(Self.partition) == ["1", "5", "9", "13"])
        try await last.close()
    }

    @Test("A group and a queue go on behind what is gone")
    func consumers() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t")
        try await broker.send((0..<6).map { Self.message($0, isPersistent: $0 % 2 == 0) })
        let consumer = try await broker.queue("t", as: "g").consumer()
        var seen: [String] = []
        while seen.count < 6 { seen += try await consumer.next().map(\.message.text) }
        try await consumer.ack(1, multiple: true)
        try await broker.close()

        let next = try await Self.opened(directory)
        let other = try await next.queue("t", as: "g").consumer()
        var left: [String] = []
        while left.count < 2 { left += try await other.next().map(\.message.text) }
        #expect(left == ["2", "4"])
        let session = try await next.subscribe(to: "t", as: "g").open()
        try await session.start(try await session.nextAssigned())
        var read: [String] = []
        while read.count < 3 { read += try await session.nextMessages().texts }
        #expect(read == ["0", "2", "4"])
        try await next.close()
    }

    @Test("A transient topic is gone after a restart with its offsets and answers, whatever its messages are")
    func topic() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t", isDurable: false)
        try await broker.createTopic("kept")
        #expect(try broker.describe("t").settings.isDurable == false)
        let refusal = await #expect(throws: BrokerError.self) { try await broker.createTopic("t") }
        #expect(refusal?.code == .topicExists)
        for topic in ["t", "kept"] { try await broker.send(Self.message(0, isPersistent: true, to: topic)) }
        let consumer = try await broker.queue("t", as: "g").consumer()
        try await consumer.ack(try await consumer.next()[0].tag)
        let id = try broker.describe("t").id
        try await broker.close()

        let next = try await Self.opened(directory)
        #expect(next.topics() == ["kept"])
        #expect(try await next.texts(TopicPartition("kept", 0)) == ["0"])
        try await next.createTopic("t", isDurable: false)
        #expect(try next.describe("t").id != id)
        try await next.send(Self.message(1, isPersistent: true))
        let other = try await next.queue("t", as: "g").consumer()
        #expect(try await other.next().map(\.message.text) == ["1"])
        try await next.close()
    }

    @Test("Transient chunks that retention or a deletion has removed are no hindrance to the next opening")
    func removed() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t", retention: Retention(time: nil, bytes: 1))
        try await broker.createTopic("gone")
        for number in 0..<3 { try await broker.send(Self.message(number, isPersistent: false)) }
        try await broker.send(Self.message(3, isPersistent: false, to: "gone"))
        try await broker.deleteTopic("gone")
        try await broker.send(Self.message(4, isPersistent: true))
        try await broker.close()
        let next = try await Self.opened(directory)
        #expect(try await next.texts(Self.partition) == ["4"])
        try await next.close()
    }

    @Test("A producer's transient messages are told from its repeats though they are gone")
    func producer() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Self.opened(directory)
        try await broker.createTopic("t")
        let producer = try await broker.producer()
        try await producer.send((0..<6).map { Self.message($0, isPersistent: $0 >= 3) })
        #expect(try await broker.texts(Self.partition) == (0..<6).map { "\($0)" })
        try await broker.close()
        let next = try await Self.opened(directory)
        let left = try await next.texts(Self.partition)
        // What shares a chunk with a persistent one is kept with it.
        #expect(left == ["3", "4", "5"] || left == (0..<6).map { "\($0)" })
        try await next.close()
    }

    @Test("What is remembered of a transient chunk goes with the chunk: by retention, by compaction, with the topic")
    func forgotten() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        let tables = broker.storage.tables
        try await broker.createTopic("t", retention: Retention(time: nil, bytes: 1))
        try await broker.createTopic("compacted", cleanup: .compact)
        try await broker.createTopic("gone")
        for number in 0..<5 {
            for topic in ["t", "compacted", "gone"] {
                try await broker.send(
                    OutgoingMessage(to: topic, key: "k\(number)", payload: [1], partition: 0, isPersistent: false)
                )
            }
        }
        try await broker.compact("compacted")
        try await broker.deleteTopic("gone")
        // Of `t` and what is put together of `compacted` one chunk each, and the newest one of `compacted`.
        #expect(try broker.storage.read { try $0.count(tables.transients) } == 3)
        try await broker.close()
    }
}
