import Ratchet
import Synchronization

/// One run of a check: names of its own, what it has made and must remove, and what has happened, for who reads the
/// failure.
final class Trial: Sendable {
    private struct State {
        var names = 0
        var topics: [String] = []
        var sessions: [any SourceSession] = []
        var story: [String] = []
    }

    private static let longestStory = 24

    let broker: any BrokerUnderTest
    let features: Features
    let settings: ConformanceSuite.Settings
    private let name: String
    private let prefix: String
    private let state = Mutex(State())

    init(name: String, broker: any BrokerUnderTest, features: Features, settings: ConformanceSuite.Settings) {
        self.name = name
        self.broker = broker
        self.features = features
        self.settings = settings
        prefix = "\(settings.prefix)-\(String(settings.random(), radix: 36))"
    }

    // MARK: What the broker is asked for

    /// A name that nobody else has.
    func newName() -> String {
        let number = state.withLock { state in
            state.names += 1
            return state.names
        }
        return "\(prefix)-\(number)"
    }

    /// A new topic.
    func topic(partitions: Int = 1) async throws -> String {
        let topic = newName()
        try await create(topic, partitions: partitions)
        return topic
    }

    func create(_ topic: String, partitions: Int = 1) async throws {
        note("makes topic \(topic)")
        state.withLock { $0.topics.append(topic) }
        try await broker.createTopic(topic, partitions: partitions)
    }

    func delete(_ topic: String) async throws {
        note("deletes topic \(topic)")
        state.withLock { $0.topics.removeAll { $0 == topic } }
        try await broker.deleteTopic(topic)
    }

    /// A new member of a group; its name is for the failure's reader.
    func join(_ group: String, _ topics: String..., as name: String = "the member") async throws -> GroupTrialMember {
        note("\(name) joins")
        let session = try await broker.source(of: topics, group: group).open()
        state.withLock { $0.sessions.append(session) }
        return GroupTrialMember(session, name: name, trial: self)
    }

    /// Sends texts to a topic, or to one partition of it.
    func produce(_ texts: [String], to topic: String, partition: Int? = nil) async throws {
        note("produces \(texts.joined(separator: " "))")
        try await broker.produce(
            texts.map {
                OutgoingMessage(to: topic, key: nil as [UInt8]?, payload: Array($0.utf8), partition: partition)
            }
        )
    }

    /// What a reader from outside finds, partition by partition.
    func contents(of topic: String, partitions: Int = 1) async throws -> [Message] {
        note("reads topic \(topic)")
        var messages: [Message] = []
        for number in 0..<partitions { messages += try await broker.contents(of: TopicPartition(topic, number)) }
        return messages
    }

    // MARK: What happens

    /// Remembers what happens or is waited for.
    func note(_ event: String) {
        state.withLock { state in
            state.story.append(event)
            if state.story.count > Self.longestStory { state.story.removeFirst() }
        }
    }

    func expect(_ condition: Bool, _ otherwise: @autoclosure () -> String) throws(ConformanceFailure) {
        guard condition else { throw ConformanceFailure(otherwise()) }
    }

    /// The error with the story behind it.
    func explained(_ error: any Error) -> any Error {
        if error is CancellationError { return error }
        let story = state.withLock { $0.story }
        return ConformanceFailure("\(name): \(error)\nWhat had happened:\n  \(story.joined(separator: "\n  "))")
    }

    /// Runs `body`, which is cancelled when it takes longer than it may.
    func withinTime(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let (limit, clock) = (settings.timeout, settings.clock)
        let isDone = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                try await clock.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        try expect(isDone, "nothing of what is waited for came within \(limit)")
    }

    /// Closes what was opened and removes what was made.
    func cleanUp() async throws {
        let (sessions, topics) = state.withLock { ($0.sessions, $0.topics) }
        for session in sessions { await session.close() }
        for topic in topics { try await broker.deleteTopic(topic) }
    }
}
