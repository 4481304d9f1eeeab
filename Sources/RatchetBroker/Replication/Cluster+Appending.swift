import LMDB
import Ratchet
import Synchronization

extension Cluster {
    /// Hands what is to be appended to the nodes that lead its partitions. All or none holds for what goes to one node.
    func submit(_ request: Appender.Request) {
        var byNode: [(node: Int, segments: [Int])] = []
        for (index, segment) in request.segments.enumerated() {
            guard let leader = partition(segment.log.uid)?.leader else {
                return request.done(.failure(unavailable(segment.log)))
            }
            if let place = byNode.firstIndex(where: { $0.node == leader }) {
                byNode[place].segments.append(index)
            } else {
                byNode.append((leader, [index]))
            }
        }
        if byNode.count == 1 { return submit(request, to: byNode[0].node) }
        let answers = Answers(count: byNode.count, segments: request.segments.count, done: request.done)
        for (node, segments) in byNode {
            let part = Appender.Request(
                segments: segments.map { request.segments[$0] },
                acks: request.acks
            ) { answers.add($0, segments) }
            submit(part, to: node)
        }
    }

    private func submit(_ request: Appender.Request, to node: Int) {
        guard let appender = nodes[node].appender else {
            return request.done(.failure(unavailable(request.segments[0].log)))
        }
        appender.submit(request)
    }

    func unavailable(_ log: PartitionLog) -> BrokerError {
        guard partition(log.uid) != nil else { return BrokerError(.unknownTopic, "\(log.partition) was deleted") }
        return BrokerError(.leaderNotAvailable, "\(log.partition) has no leader just now: nothing was written")
    }
}

/// The answers to the parts of a batch that went to several nodes.
final class Answers: Sendable {
    private struct State {
        var left: Int
        var offsets: [Int64]
        var error: (any Error)?
        var isWrittenInPart = false
    }

    private let done: @Sendable (Result<[Int64], any Error>) -> Void
    private let state: Mutex<State>

    init(count: Int, segments: Int, done: @escaping @Sendable (Result<[Int64], any Error>) -> Void) {
        self.done = done
        state = Mutex(State(left: count, offsets: Array(repeating: -1, count: segments)))
    }

    func add(_ result: Result<[Int64], any Error>, _ segments: [Int]) {
        let outcome = state.withLock { state -> Result<[Int64], any Error>? in
            state.left -= 1
            switch result {
            case .success(let offsets):
                state.isWrittenInPart = true
                for (segment, offset) in zip(segments, offsets) { state.offsets[segment] = offset }
            case .failure(let error):
                // What may be written in part must not be told as what is not.
                guard let first = state.error, !BrokerError.isUnwritten(first) || BrokerError.isUnwritten(error) else {
                    state.error = error
                    break
                }
            }
            guard state.left == 0 else { return nil }
            guard let error = state.error else { return .success(state.offsets) }
            guard state.isWrittenInPart else { return .failure(error) }
            return .failure(BrokerError(.timedOut, "one node has its part of the batch, another has not: \(error)"))
        }
        if let outcome { done(outcome) }
    }
}

/// The part of a node in its appends.
struct LeaderAppends {
    /// The partitions that one piece appends to, in the order of first use.
    private(set) var admitted: [(partition: ReplicatedPartition, admission: ReplicatedPartition.Admission)] = []
    let cluster: Cluster
    let node: Int

    init(_ cluster: Cluster, _ node: Int) {
        self.cluster = cluster
        self.node = node
    }

    /// Why a request cannot be written here, nil when it can.
    mutating func refusal(of request: Appender.Request) -> BrokerError? {
        for segment in request.segments {
            guard let admission = admission(to: segment.log) else { return cluster.unavailable(segment.log) }
            if request.acks == .all, let refusal = cluster.refusal(of: segment.log, admission.standing) {
                return refusal
            }
        }
        return nil
    }

    private mutating func admission(to log: PartitionLog) -> ReplicatedPartition.Admission? {
        if let known = admitted.first(where: { $0.partition.log.uid == log.uid }) { return known.admission }
        guard let partition = cluster.partition(log.uid), let admission = partition.beginAppend(at: node) else {
            return nil
        }
        admitted.append((partition, admission))
        return admission
    }

    /// Writes what belongs to the rows that were written.
    func write(
        _ rows: [(log: PartitionLog, row: PartitionRow)],
        in transaction: borrowing WriteTransaction,
        _ tables: Tables
    )
        throws
    {
        for (log, _) in rows {
            guard let known = admitted.first(where: { $0.partition.log.uid == log.uid }) else { continue }
            try ReplicationTable.write(known.admission.row, log.uid, in: transaction, tables)
        }
    }

    /// What a request is told whose piece was not committed. Another node may do better.
    func failure(_ error: any Error, of request: Appender.Request) -> any Error {
        guard let known = error as? BrokerError, known.code == .closed || known.code == .storage else { return error }
        cluster.checkStorage(of: node)
        return BrokerError(
            .timedOut,
            "node \(node), the leader of \(request.segments[0].log.partition), went as it wrote: it is not known "
                + "whether it stays; send it again"
        )
    }

    /// The rows are durable, or nothing is, with nil. Answers the requests, each once all wait for that it waits for.
    func finish(
        _ rows: [(log: PartitionLog, row: PartitionRow)]?,
        _ answers: [(request: Appender.Request, outcome: Result<[Int64], any Error>)]
    ) {
        var waiting: [UInt32: [@Sendable (BrokerError?) -> Void]] = [:]
        for (request, outcome) in answers {
            guard case .success = outcome, request.acks == .all, rows != nil else {
                request.done(outcome)
                continue
            }
            let countdown = Countdown(request.segments.count) { error in
                request.done(error.map { .failure($0) } ?? outcome)
            }
            for segment in request.segments { waiting[segment.log.uid, default: []].append(countdown.arrive) }
        }
        for (partition, admission) in admitted {
            let uid = partition.log.uid
            let row = rows?.first { $0.log.uid == uid }?.row
            cluster.perform(
                partition.endAppend(at: node, admission, row, waiting: waiting[uid] ?? []),
                partition
            )
        }
    }
}

/// Calls back once all have arrived, with the first error.
private final class Countdown: Sendable {
    private let state: Mutex<(left: Int, error: BrokerError?)>
    private let done: @Sendable (BrokerError?) -> Void

    init(_ count: Int, _ done: @escaping @Sendable (BrokerError?) -> Void) {
        state = Mutex((count, nil))
        self.done = done
    }

    @Sendable func arrive(_ error: BrokerError?) {
        let isLast = state.withLock { state in
            state.left -= 1
            state.error = state.error ?? error
            return state.left == 0
        }
        if isLast { done(state.withLock { $0.error }) }
    }
}
