import Ratchet
import Synchronization

extension ReplicatedPartition {
    /// Whether enough replicas are in sync for who waits for all of them.
    struct Standing {
        let inSync: Int
        let minimum: Int

        init(_ leadership: Leadership) {
            inSync = leadership.inSync.count
            minimum = leadership.minimum
        }
    }

    /// Nil while no node leads it.
    var standing: Standing? {
        state.withLock { state in
            guard let serving = state.serving, let replica = state.members[serving.node]?.replica,
                !replica.isBeingReplaced
            else { return nil }
            return Standing(replica.leadership)
        }
    }

    /// What a leader's writer thread has to know to append.
    struct Admission {
        let epoch: Int32
        let standing: Standing
        /// To be written beside what is appended.
        let row: ReplicaRow
    }

    /// The node is about to append; ``endAppend(at:_:)`` follows. Nil when it does not lead.
    func beginAppend(at node: Int) -> Admission? {
        state.withLock { state in
            guard state.serving?.node == node, let replica = state.members[node]?.replica,
                let epoch = replica.leadingEpoch, !replica.isBeingReplaced
            else { return nil }
            _ = state.members[node]?.replica.handle(.writing, now: clock.now)
            return Admission(
                epoch: epoch,
                standing: Standing(replica.leadership),
                row: ReplicaRow(epochs: replica.log.epochs, highWatermark: replica.highWatermark)
            )
        }
    }

    /// What was appended is durable on the node, or was not written. `waiting` wait for the other replicas.
    func endAppend(
        at node: Int,
        _ admission: Admission,
        _ row: PartitionRow?,
        waiting: [@Sendable (BrokerError?) -> Void]
    ) -> Effects {
        withEffects { state, effects in
            if let row {
                let now = clock.now
                if state.serving == Serving(node: node, epoch: admission.epoch) {
                    log.resize(start: row.start, bytes: row.bytes)
                    state.waiting += waiting.map { Waiting(end: row.end, start: now, done: $0) }
                    settle(&state, &effects)
                } else {
                    let error = unknown("its leader is gone before all in-sync replicas had it")
                    effects.settled += waiting.map { ($0, error) }
                }
            }
            let log = row.map { Replica.LogState(start: $0.start, end: $0.end) }
            run(.written(log), at: node, &state, &effects)
        }
    }

    /// Confirms what all have already: repeats wrote nothing.
    private func settle(_ state: inout State, _ effects: inout Effects) {
        let end = state.serving.flatMap { state.members[$0.node]?.replica.highWatermark } ?? 0
        while let first = state.waiting.first, first.end <= end {
            state.waiting.removeFirst()
            effects.settled.append((first.done, nil))
        }
    }

    /// The leader has removed what was old.
    func trimmed(at node: Int, _ row: PartitionRow) -> Effects {
        withEffects { state, effects in
            if state.serving?.node == node { log.resize(start: row.start, bytes: row.bytes) }
            run(.trimmed(start: row.start), at: node, &state, &effects)
        }
    }

    /// Whether it is known of every in-sync replica that is up how much of the leader's log it has.
    var isSettled: Bool {
        state.withLock { state in
            guard let serving = state.serving, let leader = state.members[serving.node]?.replica,
                case .leader(let leading) = leader.role
            else { return state.members.allSatisfy { $0?.replica.leadership.leader == nil } }
            return leading.followers.allSatisfy { follower in
                follower.end != nil || state.members[follower.node] == nil
                    || !leader.leadership.inSync.contains(follower.node)
            }
        }
    }
}
