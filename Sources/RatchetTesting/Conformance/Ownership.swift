import Ratchet
import Synchronization

/// Whose each partition is, as the members of a group were told: fails as soon as one is two members'.
final class Ownership: Sendable {
    private struct State {
        var owners: [TopicPartition: String] = [:]
        var delivered: [String] = []
        var failure: (any Error)?
    }

    private let state = Mutex(State())
    private let changed = Signal()

    /// Takes a member's events until it is closed, and does what each asks for.
    func follow(_ member: GroupTrialMember) async {
        do {
            while try await handle(member.next(), of: member) {}
        } catch {
            state.withLock { if $0.failure == nil { $0.failure = error } }
        }
        changed.tell()
    }

    private func handle(_ event: SourceEvent, of member: GroupTrialMember) async throws -> Bool {
        switch event {
        case .assigned(let assignments):
            for assignment in assignments {
                try own(assignment.partition, member.name)
                try await member.start(assignment)
            }
        case .revoking(let partitions, _):
            disown(partitions, member.name)
            await member.session.release(partitions)
        case .lost(let partitions): disown(partitions, member.name)
        case .messages(let batch):
            state.withLock { state in state.delivered += (0..<batch.count).map { batch[$0].text } }
        case .outOfRange(let gap): throw ConformanceFailure("nothing is deleted, and yet \(gap)")
        case .closed: return false
        }
        changed.tell()
        return true
    }

    private func own(_ partition: TopicPartition, _ name: String) throws {
        try state.withLock { state in
            if let owner = state.owners[partition] {
                throw ConformanceFailure("\(partition) was assigned to \(name) while it was \(owner)'s")
            }
            state.owners[partition] = name
        }
    }

    private func disown(_ partitions: [TopicPartition], _ name: String) {
        state.withLock { state in
            for partition in partitions where state.owners[partition] == name { state.owners[partition] = nil }
        }
    }

    /// A member is about to leave.
    func disownAll(of name: String) {
        state.withLock { state in state.owners = state.owners.filter { $0.value != name } }
    }

    /// Waits until each of these members has a partition, and nobody else.
    func untilShared(among names: [String], partitions: Int) async throws {
        try await until { $0.owners.count == partitions && Set($0.owners.values) == Set(names) }
    }

    /// Waits for as many messages, which must be these, in any order.
    func untilDelivered(_ texts: [String]) async throws {
        try await until { $0.delivered.count >= texts.count }
        let delivered = state.withLock { $0.delivered }
        guard delivered.sorted() == texts.sorted() else {
            throw ConformanceFailure("expected \(texts), each once, and got \(delivered)")
        }
    }

    private func until(_ condition: (State) -> Bool) async throws {
        while true {
            let isTrue = try state.withLock { state in
                if let failure = state.failure { throw failure }
                return condition(state)
            }
            if isTrue { return }
            try Task.checkCancellation()
            await changed.wait()
        }
    }
}
