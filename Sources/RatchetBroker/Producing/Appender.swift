import DequeModule
import LMDB
import Ratchet
import Synchronization

/// Appends for all senders: what waits when the writer thread gets to it goes into one transaction, one chunk for each
/// partition, and one sync, however many senders it is of.
final class Appender: Sendable {
    /// One sender's batch.
    struct Request: Sendable {
        /// What goes to one partition, in order.
        struct Segment: Sendable {
            let log: PartitionLog
            let parts: [RoutedBatch.Part]
            /// Of an idempotent producer. A batch has several of them only where none can be refused.
            var stamp: ProducerStamp?
        }

        let segments: [Segment]
        /// What is waited for before it is done.
        let acks: Acks
        let byteCount: Int
        /// Called once with the offset of the first record of each segment, -1 for a repeat that is known to be there
        /// and not where.
        let done: @Sendable (Result<[Int64], any Error>) -> Void

        init(
            segments: [Segment],
            acks: Acks = .all,
            done: @escaping @Sendable (Result<[Int64], any Error>) -> Void
        ) {
            self.segments = segments
            self.acks = acks
            self.done = done
            byteCount = segments.reduce(0) { $0 + $1.parts.reduce(0) { $0 + $1.bytes.count } }
        }

        /// Whether it may be told before it is written. Who waits for all in-sync replicas waits for them to have
        /// written it.
        var isToldEarly: Bool {
            segments.allSatisfy { $0.log.confirmsBeforeWrite && (acks != .all || !$0.log.isReplicated) }
        }

        init(_ batch: RoutedBatch, acks: Acks = .all, done: @escaping @Sendable (Result<[Int64], any Error>) -> Void) {
            let segments = batch.segments.indices.map { index in
                Segment(log: batch.segments[index].log, parts: [batch.part(index)])
            }
            self.init(segments: segments, acks: acks, done: done)
        }
    }

    /// What one piece takes at most, in bytes, unless a single request is larger.
    static let maximumPieceBytes = 16 << 20

    private struct State {
        var pending = Deque<Request>()
        var bytes = 0
        /// Whether a piece is submitted that has not taken its requests yet.
        var isSubmitted = false
    }

    /// The node of a cluster that it appends for.
    private struct Seat {
        // It has this appender.
        unowned let cluster: Cluster
        let node: Int
    }

    private let storage: Storage
    private let time: TimeSource
    /// Hands requests on to the nodes' appenders.
    private let router: Cluster?
    private let seat: Seat?
    fileprivate let producers: ProducerRegistry
    fileprivate let maximumProducerStates: Int
    private let gate: ByteGate
    private let state = Mutex(State())

    /// The broker's own, which hands all over to the nodes' where there are some.
    init(storage: Storage, producers: ProducerRegistry, _ configuration: Broker.Configuration, routing: Cluster?) {
        router = routing
        seat = nil
        self.storage = storage
        self.producers = producers
        time = configuration.time
        maximumProducerStates = configuration.maximumProducerStates
        gate = ByteGate(limit: configuration.maximumPendingBytes)
    }

    /// A node's.
    init(
        storage: Storage,
        producers: ProducerRegistry,
        _ configuration: Broker.Configuration,
        node: Int,
        of cluster: Cluster
    ) {
        router = nil
        seat = Seat(cluster: cluster, node: node)
        self.storage = storage
        self.producers = producers
        time = configuration.time
        maximumProducerStates = configuration.maximumProducerStates
        gate = ByteGate(limit: configuration.maximumPendingBytes)
    }

    /// Appends the batch and returns, once what `acks` says is done, the offset of the first record of each of its
    /// segments; -1 without waiting.
    /// `route` is called when it is this sender's turn. Cancellation counts until then; after that the batch is written
    /// and this returns with it.
    func append(byteCount: Int, acks: Acks, route: () throws -> RoutedBatch) async throws -> (RoutedBatch, [Int64]) {
        try await gate.enter(byteCount)
        let batch: RoutedBatch
        do { batch = try route() } catch {
            gate.leave(byteCount)
            throw error
        }
        guard !batch.segments.isEmpty else {
            gate.leave(byteCount)
            return (batch, [])
        }
        guard acks != .none else {
            submit(Request(batch, acks: acks) { [gate] _ in gate.leave(byteCount) })
            return (batch, batch.segments.map { _ in -1 })
        }
        defer { gate.leave(byteCount) }
        let offsets = try await withCheckedThrowingContinuation { continuation in
            submit(Request(batch, acks: acks) { continuation.resume(with: $0) })
        }
        return (batch, offsets)
    }

    /// Senders that wait for their turn, and all later ones, throw `error`; what is enqueued is still written.
    func close(_ error: BrokerError) { gate.close(error) }

    /// Appends what a sender hands over that bounds itself.
    func submit(_ request: Request) {
        if let router { return router.submit(request) }
        let bytes = state.withLock { state -> Int? in
            state.pending.append(request)
            state.bytes += request.byteCount
            guard !state.isSubmitted else { return nil }
            state.isSubmitted = true
            return state.bytes
        }
        if let bytes { submit(bytes) }
    }

    private func submit(_ bytes: Int) {
        let piece = AppendPiece(
            appender: self,
            byteCount: min(bytes, Self.maximumPieceBytes),
            tables: storage.tables,
            now: time.wall(),
            appends: seat.map { LeaderAppends($0.cluster, $0.node) }
        )
        storage.submit(piece)
    }

    /// What the next piece writes, in order. Submits another piece when something is left.
    fileprivate func take() -> [Request] {
        let (requests, left) = state.withLock { state -> ([Request], Int) in
            var requests: [Request] = []
            var bytes = 0
            while let next = state.pending.first {
                guard requests.isEmpty || bytes + next.byteCount <= Self.maximumPieceBytes else { break }
                bytes += next.byteCount
                requests.append(next)
                state.pending.removeFirst()
            }
            state.bytes -= bytes
            state.isSubmitted = !state.pending.isEmpty
            return (requests, state.bytes)
        }
        if left > 0 { submit(left) }
        return requests
    }
}

/// One transaction's appends.
private final class AppendPiece: WritePiece {
    let byteCount: Int
    private let appender: Appender
    private let tables: Tables
    private let now: Int64
    private let state = Mutex(State())

    private struct State {
        var isTaken = false
        var requests: [Appender.Request] = []
        /// For each request, the offsets of its segments, or why it alone was not written.
        var outcomes: [Result<[Int64], any Error>] = []
        /// To be published once it is durable.
        var written: [(log: PartitionLog, row: PartitionRow)] = []
        /// The node's part, where there are nodes.
        var appends: LeaderAppends?
        /// The bytes that may be told before they are written.
        var delayableBytes: Int?
    }

    init(appender: Appender, byteCount: Int, tables: Tables, now: Int64, appends: LeaderAppends?) {
        self.appender = appender
        self.byteCount = byteCount
        self.tables = tables
        self.now = now
        state.withLock { $0.appends = appends }
    }

    func write(in transaction: borrowing WriteTransaction) throws {
        let requests = appender.take()
        // Kept even when this throws: `completed` tells all of them.
        state.withLock {
            $0.isTaken = true
            $0.requests = requests
        }
        var append = GroupAppend(
            tables,
            appender.producers,
            maximumProducerStates: appender.maximumProducerStates,
            now: now
        )
        var outcomes: [Result<[Int64], any Error>] = []
        for request in requests {
            if let refusal = state.withLock({ $0.appends?.refusal(of: request) }) {
                outcomes.append(.failure(refusal))
            } else {
                outcomes.append(try append.add(request, in: transaction))
            }
        }
        try append.finish(in: transaction)
        #if CrashPoints
            CrashPoint.brokerWritten.reach()
        #endif
        let written = append.writers.map { ($0.log, $0.row) }
        try state.withLock { $0.appends }?.write(written, in: transaction, tables)
        state.withLock {
            $0.outcomes = outcomes
            $0.written = written
            if requests.allSatisfy(\.isToldEarly) { $0.delayableBytes = requests.reduce(0) { $0 + $1.byteCount } }
        }
    }

    var delayableBytes: Int? { state.withLock { $0.delayableBytes } }

    /// Tells all requests: what is told and let go of here is bounded by what may wait for its commit.
    func written() {
        let (requests, outcomes) = state.withLock { state in
            defer { (state.requests, state.outcomes) = ([], []) }
            return (state.requests, state.outcomes)
        }
        for (request, outcome) in zip(requests, outcomes) { request.done(outcome) }
    }

    func completed(_ result: Result<Void, any Error>) {
        // A piece that was rejected has taken nothing: those that it was submitted for must hear of it.
        let isTaken = state.withLock { $0.isTaken }
        let untaken = isTaken ? [] : appender.take()
        if let appends = state.withLock({ $0.appends }) { return completed(result, appends, untaken) }
        state.withLock { state in
            switch result {
            case .success:
                #if CrashPoints
                    CrashPoint.brokerCommitted.reach()
                #endif
                for (log, row) in state.written { log.publish(row) }
                #if CrashPoints
                    CrashPoint.brokerPublished.reach()
                #endif
                for (request, outcome) in zip(state.requests, state.outcomes) {
                    request.done(outcome)
                }
            case .failure(let error):
                let error = BrokerError.wrapping(error)
                for request in state.requests + untaken { request.done(.failure(error)) }
            }
        }
    }

    private func completed(
        _ result: Result<Void, any Error>,
        _ appends: LeaderAppends,
        _ untaken: [Appender.Request]
    ) {
        let (requests, outcomes, written) = state.withLock { ($0.requests, $0.outcomes, $0.written) }
        switch result {
        case .success:
            #if CrashPoints
                CrashPoint.leaderCommitted.reach()
            #endif
            appends.finish(written, Array(zip(requests, outcomes)))
        case .failure(let error):
            let error = BrokerError.wrapping(error)
            appends.finish(nil, requests.map { ($0, .failure(appends.failure(error, of: $0))) })
            let isClosed = (error as? BrokerError)?.code == .closed
            for request in untaken {
                request.done(.failure(isClosed ? appends.cluster.unavailable(request.segments[0].log) : error))
            }
        }
    }
}
