import Ratchet
import RatchetTesting
import Synchronization

/// The in-process broker with a connector that makes one mistake.
struct MistakenBroker: BrokerUnderTest {
    let broker: InProcessBroker
    let mistake: Mistake.Kind

    func createTopic(_ name: String, partitions: Int) async throws {
        try await broker.createTopic(name, partitions: partitions)
    }

    func deleteTopic(_ name: String) async throws { try await broker.deleteTopic(name) }

    func source(of topics: [String], group: String) async throws -> any Source {
        let inner = try await broker.source(of: topics, group: mistake == .sharesGroups ? topics[0] : group)
        return MistakenSource(inner: inner, mistake: mistake, topics: topics, broker: broker)
    }

    func sink() async throws -> any Sink { MistakenSink(try await broker.sink(), mistake) }

    func produce(_ messages: [OutgoingMessage]) async throws { try await broker.produce(messages) }

    func contents(of partition: TopicPartition) async throws -> [Message] {
        try await broker.contents(of: partition)
    }

    func removeOldest(of partition: TopicPartition) async throws { try await broker.removeOldest(of: partition) }

    func makeHole(in partition: TopicPartition) async throws { try await broker.makeHole(in: partition) }
}

private struct MistakenSource: Source {
    let inner: any Source
    let mistake: Mistake.Kind
    let topics: [String]
    let broker: InProcessBroker
    var cluster: String { inner.cluster }
    var group: String { mistake == .tellsOtherGroup ? "other" : inner.group }
    var system: String { inner.system }

    func open() async throws -> any SourceSession {
        do {
            return MistakenSession(try await inner.open(), mistake)
        } catch let error as SourceError where error.code == .unknownTopic && mistake == .makesTopic {
            for topic in topics { try await broker.createTopic(topic, partitions: 1) }
            return MistakenSession(try await inner.open(), mistake)
        }
    }
}

private final class MistakenSink: Sink {
    private let inner: any Sink
    private let mistake: Mistake.Kind
    private let state = Mutex((sends: 0, held: [OutgoingMessage]()))

    init(_ inner: any Sink, _ mistake: Mistake.Kind) {
        self.inner = inner
        self.mistake = mistake
    }

    var failure: (any Error)? { inner.failure }

    func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
        if mistake == .failsOnNothing, batch.isEmpty { throw MessageError(.malformed, "nothing to send") }
        var messages = try batch.messages
        let (number, held) = state.withLock { state in
            state.sends += 1
            guard mistake == .confirmsEarly, messages.first?.text.hasPrefix("confirmed-") == true else {
                return (state.sends, [OutgoingMessage]())
            }
            swap(&state.held, &messages)
            return (state.sends, messages)
        }
        switch mistake {
        case .confirmsEarly where !held.isEmpty || messages.isEmpty: messages = held
        case .reordersKey where messages.first?.text.hasPrefix("sorted-") == true: messages.reverse()
        case .failsAll:
            let failures: [SinkFailure] = try await inner.send(batch)
            guard let first = failures.first else { return [] }
            return messages.indices.map { SinkFailure(index: $0, error: first.error) }
        case .sendsBehind: return try await sendOneByOne(messages)
        default: for index in messages.indices { change(&messages[index], number) }
        }
        return try await inner.send(OutgoingBatch(messages))
    }

    private func change(_ message: inout OutgoingMessage, _ number: Int) {
        switch mistake {
        case .spreadsKey where message.text.hasPrefix("placed-"): message.partition = number % 3
        case .ignoresPartition where message.text.hasPrefix("named-"):
            message.partition = message.partition.map { ($0 + 1) % 3 }
        case .renamesRepeat:
            for index in message.headers.indices where message.headers[index].text.hasPrefix("again-") {
                message.headers[index] = .messageID("\(message.headers[index].text)-\(number)")
            }
        default: break
        }
    }

    private func sendOneByOne(_ messages: [OutgoingMessage]) async throws -> [SinkFailure] {
        var failures: [SinkFailure] = []
        for (index, message) in messages.enumerated() {
            let failed: [SinkFailure] = try await inner.send(OutgoingBatch([message]))
            failures += failed.map { SinkFailure(index: index, error: $0.error) }
        }
        return failures
    }
}

extension OutgoingMessage {
    fileprivate var text: String { String(decoding: payload, as: UTF8.self) }
}

extension OutgoingBatch {
    /// What was appended.
    fileprivate var messages: [OutgoingMessage] {
        get throws {
            try bytes.withUnsafeBytes { bytes in
                try entries.map { entry in
                    let parts = try RecordLayout.parts(of: bytes, at: entry.start)
                    var headers: [Header] = []
                    RecordLayout.forEachHeader(in: UnsafeRawBufferPointer(rebasing: bytes[parts.headers])) {
                        headers.append(Header(String(decoding: $0, as: UTF8.self), Array($1)))
                        return true
                    }
                    return OutgoingMessage(
                        to: topics[Int(entry.topic)],
                        key: parts.key.map { Array(bytes[$0]) },
                        payload: Array(bytes[parts.payload]),
                        headers: headers,
                        partition: entry.partition < 0 ? nil : Int(entry.partition)
                    )
                }
            }
        }
    }
}
