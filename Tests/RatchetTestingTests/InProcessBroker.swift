import Logging
import Ratchet
import RatchetBroker
import RatchetTesting
import Synchronization

/// The in-process broker as the conformance suite sees it, opened with its first use.
final class InProcessBroker: BrokerUnderTest {
    static let features: Features = [
        .log, .partitions, .keysToPartitions, .commitMetadata, .fencing, .cooperativeRevocation, .topicIDs, .retention,
        .sizeLimit,
    ]

    /// Of its topics as queues.
    static let queueFeatures: Features = [.queue, .fencing, .sizeLimit]

    /// Its folder, nil for a broker in memory.
    private let scratch: Scratch?
    private let model: SourceModel
    private let opening = Turn()
    private let broker = Mutex<Broker?>(nil)
    /// A broker in a folder goes by it, and looks for who is silent.
    private let clock = LeapingClock()
    private let running = Mutex<Task<Void, any Error>?>(nil)

    /// Whether its sink is a producer.
    private let hasProducer: Bool

    /// A broker in a folder, nil for one in memory.
    init(in scratch: Scratch?, as model: SourceModel = .log, hasProducer: Bool = false) {
        self.scratch = scratch
        self.model = model
        self.hasProducer = hasProducer
    }

    private func opened() async throws -> Broker {
        await opening.take()
        defer { opening.pass() }
        if let broker = broker.withLock({ $0 }) { return broker }
        var configuration = Broker.Configuration()
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configuration.maximumBytes = 1 << 30
        let new: Broker
        if let scratch {
            configuration.clock = clock
            new = try await Broker(at: scratch.path("broker"), configuration: configuration)
            running.withLock { $0 = Task { try await new.run() } }
        } else {
            new = try await Broker.inMemory(configuration: configuration)
        }
        broker.withLock { $0 = new }
        return new
    }

    func close() async throws {
        running.withLock { $0.take() }?.cancel()
        try await broker.withLock { $0.take() }?.close()
    }

    func evictSilent() async throws { await clock.leap(by: Broker.Configuration().sessionTimeout * 2) }

    /// The topics that are left.
    func topics() async throws -> [String] { try await opened().topics() }

    func createTopic(_ name: String, partitions: Int) async throws {
        let retention = Retention(time: nil, bytes: 4 << 20)
        try await opened().createTopic(name, partitions: partitions, retention: retention)
    }

    func deleteTopic(_ name: String) async throws { try await opened().deleteTopic(name) }

    func source(of topics: [String], group: String) async throws -> any Source {
        switch model {
        case .log: HoledSource(inner: try await opened().subscribe(to: topics, as: group))
        case .queue: try await opened().subscribe(toQueues: topics, as: group)
        }
    }

    func sink() async throws -> any Sink {
        let broker = try await opened()
        return hasProducer ? try await broker.producer() : broker
    }

    func produce(_ messages: [OutgoingMessage]) async throws { _ = try await opened().send(messages) }

    func contents(of partition: TopicPartition) async throws -> [Message] {
        var messages: [Message] = []
        for try await batch in try await opened().read(partition) { messages += batch.messages }
        return messages
    }

    func removeOldest(of partition: TopicPartition) async throws {
        let broker = try await opened()
        let filler = OutgoingMessage(
            to: partition.topic,
            payload: Array(repeating: 0, count: 1_000_000),
            partition: partition.partition
        )
        let start = try broker.describe(partition.topic).partitions[partition.partition].log.lowerBound
        while try broker.describe(partition.topic).partitions[partition.partition].log.lowerBound == start {
            _ = try await broker.send([filler])
        }
    }

    /// A log of this broker has none: a record that ``HoledSource`` hides.
    func makeHole(in partition: TopicPartition) async throws {
        _ = try await opened().send([
            OutgoingMessage(
                to: partition.topic,
                payload: [],
                headers: [HoledSource.mark],
                partition: partition.partition
            )
        ])
    }

    func restart() async throws {
        try await close()
        _ = try await opened()
    }
}

/// A subscription that leaves records out, as a compacted log or one with transactions does.
struct HoledSource: Source {
    static let mark = Header("hole", [])

    let inner: any Source
    var cluster: String { inner.cluster }
    var group: String { inner.group }
    var system: String { inner.system }

    func open() async throws -> any SourceSession { HoledSession(try await inner.open()) }
}

private final class HoledSession: ForwardedSession, @unchecked Sendable {
    /// Where the batches that were hidden whole began, by partition.
    private let hidden = Mutex<[TopicPartition: Int64]>([:])

    override func next() async throws -> SourceEvent {
        while true {
            let event = try await super.next()
            guard case .messages(let batch) = event else { return event }
            let start = hidden.withLock { $0.removeValue(forKey: batch.partition) } ?? batch.startOffset
            let kept = batch.messages.filter { !$0.headers.contains(HoledSource.mark) }
            if kept.count == batch.count, start == batch.startOffset { return event }
            if let rest = try MessageBatch(kept, like: batch, from: start) { return .messages(rest) }
            hidden.withLock { $0[batch.partition] = start }
        }
    }

    override func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        hidden.withLock { $0[partition] = nil }
        try await super.start(partition, at: offset, generation: generation)
    }
}
