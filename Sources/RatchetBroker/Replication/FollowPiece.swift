import LMDB
import Logging
import Ratchet
import Synchronization

/// What a follower has to write to its log.
struct FollowerTask: Sendable {
    enum Kind: Sendable {
        case copy(ReplicaMessage.Records, from: Storage?)
        case truncate(to: Int64)
        case restart(at: Int64)
    }

    let partition: ReplicatedPartition
    let kind: Kind
    /// Not before this.
    var due = Duration.zero

    init(_ partition: ReplicatedPartition, _ kind: Kind) {
        self.partition = partition
        self.kind = kind
    }
}

/// What a node's followers have to write by now, in one transaction.
final class FollowPiece: WritePiece {
    /// What is copied in one transaction of each partition, unless a single chunk is larger.
    static let maximumBytes = 16 << 20

    let byteCount = 1 << 20
    /// Beyond the quota too: the quota of who leads bounds what there is to copy, and a follower that is full must still
    /// remove what its leader has removed.
    let reclaims = true
    private let node: ReplicationNode
    private let cluster: Cluster
    private let tables: Tables
    private let state = Mutex(State())

    private struct State {
        var isTaken = false
        var tasks: [FollowerTask] = []
        var outcomes: [FollowerLog.Outcome] = []
    }

    init(_ node: ReplicationNode, _ cluster: Cluster, _ tables: Tables) {
        self.node = node
        self.cluster = cluster
        self.tables = tables
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        let tasks = node.takeTasks(now: cluster.clock.now)
        state.withLock { ($0.isTaken, $0.tasks) = (true, tasks) }
        var outcomes: [FollowerLog.Outcome] = []
        let now = cluster.producers.time.now
        for task in tasks {
            let writer = FollowerLog(uid: task.partition.log.uid, tables: tables, now: now)
            outcomes.append(try writer.perform(task.kind, in: transaction))
        }
        #if CrashPoints
            CrashPoint.followerWritten.reach()
        #endif
        state.withLock { [outcomes] in $0.outcomes = outcomes }
    }

    func completed(_ result: Result<Void, any Error>) {
        let (isTaken, tasks, outcomes) = state.withLock { ($0.isTaken, $0.tasks, $0.outcomes) }
        guard isTaken else { return node.pieceWasRefused() }
        #if CrashPoints
            CrashPoint.followerCommitted.reach()
        #endif
        for (index, task) in tasks.enumerated() {
            // A failed one is tried again at the next tick.
            var log: Replica.LogState?
            if case .success = result {
                log = outcomes[index].log
                if let damage = outcomes[index].damage { tell(damage, task.partition) }
            }
            cluster.perform(task.partition.handle(.written(log), at: node.number), task.partition)
        }
        if case .failure = result { cluster.checkStorage(of: node.number) }
    }

    private func tell(_ damage: any Error, _ partition: ReplicatedPartition) {
        cluster.configuration.logger.error(
            "A follower cannot copy what its leader has.",
            metadata: LogKeys.error(damage, partition: partition.log.partition, node: node.number)
        )
    }
}
