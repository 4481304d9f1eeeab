import Ratchet
import RatchetTesting

/// The in-process broker with a connector from which nothing ever comes, and a clock that goes by that: whoever sleeps
/// is woken as soon as a session is asked for its next event.
struct SilentBroker: BrokerUnderTest, Clock {
    struct Instant: InstantProtocol {
        var time = Duration.zero
        func advanced(by duration: Duration) -> Instant { Instant(time: time + duration) }
        func duration(to other: Instant) -> Duration { other.time - time }
        static func < (a: Instant, b: Instant) -> Bool { a.time < b.time }
    }

    let broker: InProcessBroker
    let asked = Latch()
    var now: Instant { Instant() }
    var minimumResolution: Duration { .nanoseconds(1) }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        await asked.wait()
        try Task.checkCancellation()
    }

    func createTopic(_ name: String, partitions: Int) async throws {
        try await broker.createTopic(name, partitions: partitions)
    }

    func deleteTopic(_ name: String) async throws { try await broker.deleteTopic(name) }

    func source(of topics: [String], group: String) async throws -> any Source {
        SilentSource(inner: try await broker.source(of: topics, group: group), asked: asked)
    }

    func sink() async throws -> any Sink { try await broker.sink() }

    func produce(_ messages: [OutgoingMessage]) async throws { try await broker.produce(messages) }

    func contents(of partition: TopicPartition) async throws -> [Message] {
        try await broker.contents(of: partition)
    }
}

private struct SilentSource: Source {
    let inner: any Source
    let asked: Latch
    var cluster: String { inner.cluster }
    var group: String { inner.group }
    var system: String { inner.system }

    func open() async throws -> any SourceSession { SilentSession(try await inner.open(), asked) }
}

private final class SilentSession: ForwardedSession, @unchecked Sendable {
    private let asked: Latch

    init(_ inner: any SourceSession, _ asked: Latch) {
        self.asked = asked
        super.init(inner)
    }

    override func next() async throws -> SourceEvent {
        asked.open()
        // Ends with the cancellation.
        await Latch().wait()
        throw CancellationError()
    }
}
