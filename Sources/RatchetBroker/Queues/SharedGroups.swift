import Ratchet
import Synchronization

/// The broker's groups of competing consumers, made at their first use.
final class SharedGroups: Sendable {
    private struct State {
        /// In the order in which they were made.
        var shells: [SharedGroupShell] = []
        var closed: BrokerError?
    }

    private let state = Mutex(State())

    private var shells: [SharedGroupShell] { state.withLock { $0.shells } }

    /// The group of the topic; `make` makes it at its first use.
    func group(
        _ name: String,
        limit: Int,
        topic: () throws -> Topic,
        make: (Topic) throws -> SharedGroupShell
    ) throws -> SharedGroupShell {
        try state.withLock { state in
            if let closed = state.closed { throw closed }
            // Under the lock: a group that is made twice would deliver twice, and one that is made of the topic as it was
            // before it was altered would miss partitions.
            let topic = try topic()
            if let known = state.shells.first(where: { $0.name == name && $0.topic.id == topic.id }) { return known }
            guard state.shells.count < limit else {
                throw BrokerError(.limitReached, "queue group '\(name)' would be one more than maximumGroups, \(limit)")
            }
            let shell = try make(topic)
            state.shells.append(shell)
            return shell
        }
    }

    /// The group of the topic, nil before its first use.
    func known(_ name: String, of topic: Topic) -> SharedGroupShell? {
        shells.first { $0.name == name && $0.topic.id == topic.id }
    }

    /// Whether a consumer waits in `next`; for tests.
    var hasWaiting: Bool { shells.contains { $0.hasWaiting } }

    func tick() { for shell in shells { shell.tick() } }

    /// A topic was created, altered or deleted: its groups go on, those of the one before it have ended.
    func topicChanged(_ name: String, to topic: Topic?) {
        let (kept, ended) = state.withLock { state in
            let all = state.shells.filter { $0.topic.name == name }
            state.shells.removeAll { $0.topic.name == name && $0.topic.id != topic?.id }
            return (all.filter { $0.topic.id == topic?.id }, all.filter { $0.topic.id != topic?.id })
        }
        for shell in ended { shell.end(SourceError(.unknownTopic, "topic '\(name)' was deleted")) }
        if let topic { for shell in kept { shell.altered(to: topic) } }
    }

    /// Ends all groups; what was answered is still written.
    func close(_ error: BrokerError) {
        let shells = state.withLock { state in
            state.closed = error
            return state.shells
        }
        for shell in shells { shell.close(error) }
    }
}
