/// One node's part in one partition, during one of the node's lives: it leads or follows.
///
/// It holds no records: it decides what the log does. Messages between replicas may be late, lost, repeated and out of
/// order.
struct Replica: Sendable {
    enum Event: Sendable {
        /// The controller has decided.
        case told(Leadership)
        /// The controller does not allow the change of that number.
        case refused(number: Int)
        case received(ReplicaMessage, from: Int)
        /// Something is about to be written to the log; ``written`` follows. Until then nobody else takes over.
        case writing
        /// The log is this long now, with the records of these epochs; nil when the writing has failed.
        case written(LogState?)
        /// The log begins later now.
        case trimmed(start: Int64)
        case tick
    }

    enum Action: Equatable, Sendable {
        case send(ReplicaMessage, to: Int)
        case ask(InSyncChange)
        /// What was copied comes from a leader of another line: the log is to end here. ``Event/writing`` has begun.
        case truncate(to: Int64)
        /// Nothing of the log is left at the leader's: it is to be empty, and begin here. ``Event/writing`` has begun.
        case restart(at: Int64)
        /// To be appended to the log, in part at least. ``Event/writing`` has begun.
        case copy(ReplicaMessage.Records)
        /// It leads, from the log's end on.
        case leads(epoch: Int32)
        /// It leads no more, or not yet. Who waits for a confirmation will not get it from here.
        case follows
        /// The leader's high watermark.
        case advanced(to: Int64)
    }

    /// What is written.
    struct LogState: Equatable, Sendable {
        var start: Int64 = 0
        var end: Int64 = 0
        var epochs = LeaderEpochs()

        /// What was copied is appended, up to `end`.
        mutating func append(_ records: ReplicaMessage.Records, to end: Int64) {
            epochs.append(records.epochs, from: records.from, to: end)
            self.end = end
            begin(at: records.start)
        }

        /// What is before `start` is gone.
        mutating func begin(at start: Int64) {
            self.start = max(self.start, start)
            epochs.removeFront(before: self.start)
        }

        mutating func truncate(to end: Int64) {
            epochs.truncate(to: end)
            self.end = end
        }
    }

    enum Role: Sendable {
        case idle
        case follower
        case leader(LeadingState)
    }

    let node: Int
    /// Changes when the node has to register anew, without having lost anything.
    var life: Int
    /// A follower that has not caught up for longer is not in sync.
    let lagTime: Duration
    var log: LogState
    /// All in-sync replicas have what is below it.
    var highWatermark: Int64
    var leadership: Leadership
    var role = Role.idle
    private var writes = 0
    /// Waits until what is being written is written.
    private var latest: Leadership?

    init(node: Int, life: Int, log: LogState, highWatermark: Int64, lagTime: Duration) {
        self.node = node
        self.life = life
        self.log = log
        self.highWatermark = min(max(highWatermark, log.start), log.end)
        self.lagTime = lagTime
        leadership = Leadership(replicas: [])
    }

    /// The epoch in which it leads, nil when it does not.
    var leadingEpoch: Int32? { if case .leader = role { leadership.epoch } else { nil } }

    /// Whether another leader waits until what is being written is written.
    var isBeingReplaced: Bool { latest != nil }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        switch event {
        case .told(let leadership):
            return told(leadership, now: now)
        case .refused(let number): return refused(number)
        case .received(let message, let sender): return received(message, from: sender, now: now)
        case .writing:
            writes += 1
            return []
        case .written(let log): return written(log, now: now)
        case .trimmed(let start):
            log.begin(at: start)
            return answerWaiting(now: now)
        case .tick: return tick(now: now)
        }
    }

    private mutating func told(_ leadership: Leadership, now: Duration) -> [Action] {
        guard leadership.version > (latest ?? self.leadership).version else { return [] }
        if leadership.epoch == self.leadership.epoch, leadership.leader == self.leadership.leader {
            let before = self.leadership
            self.leadership = leadership
            // Its last fetch may have been lost.
            if case .follower = role { return writes == 0 ? [fetch()] : [] }
            return inSyncChanged(before, now: now)
        }
        guard writes == 0 else {
            latest = leadership
            return []
        }
        return adopt(leadership, now: now)
    }

    private mutating func adopt(_ leadership: Leadership, now: Duration) -> [Action] {
        self.leadership = leadership
        guard let leader = leadership.leader else {
            role = .idle
            return [.follows]
        }
        if leader == node { return lead(now: now) }
        role = .follower
        log.epochs.truncate(to: log.end)
        return [.follows, fetch()]
    }

    private mutating func written(_ log: LogState?, now: Duration) -> [Action] {
        writes -= 1
        if let log {
            if leadingEpoch == nil {
                self.log = log
            } else {
                // A leader's own epoch has begun, whether there is a record of it yet or not.
                self.log.begin(at: log.start)
                self.log.end = log.end
            }
            highWatermark = min(highWatermark, log.end)
        }
        if writes == 0, let latest {
            self.latest = nil
            return adopt(latest, now: now)
        }
        switch role {
        case .idle: return []
        case .leader: return grown(now: now)
        // Tells the leader how far it is, too. What has failed is tried again at the next tick.
        case .follower: return log != nil && writes == 0 ? [fetch()] : []
        }
    }

    private mutating func received(_ message: ReplicaMessage, from sender: Int, now: Duration) -> [Action] {
        switch message {
        case .fetch(let fetch): return answer(fetch, from: sender, now: now)
        case .records(let records): return copy(records)
        case .diverging(let divergence): return diverge(divergence)
        case .restart(let epoch, let offset): return restart(at: offset, epoch: epoch)
        }
    }

    private mutating func tick(now: Duration) -> [Action] {
        switch role {
        case .idle: []
        case .leader: leaderTick(now: now)
        case .follower: writes == 0 ? [fetch()] : []
        }
    }

    // MARK: Following

    /// Asks the leader for what comes after the log's end.
    private func fetch() -> Action {
        let fetch = ReplicaMessage.Fetch(
            epoch: leadership.epoch,
            life: life,
            offset: log.end,
            lastEpoch: log.epochs.last(before: log.end)
        )
        return .send(.fetch(fetch), to: leadership.leader ?? node)
    }

    /// Whether an answer of that epoch's leader counts: nothing else is being written.
    private func follows(_ epoch: Int32) -> Bool {
        if case .follower = role { epoch == leadership.epoch && writes == 0 } else { false }
    }

    private mutating func copy(_ records: ReplicaMessage.Records) -> [Action] {
        guard follows(records.epoch), records.from == log.end else { return [] }
        highWatermark = max(highWatermark, min(records.highWatermark, log.end))
        guard records.end > records.from || records.start > log.start else { return [] }
        writes += 1
        return [.copy(records)]
    }

    private mutating func diverge(_ divergence: ReplicaMessage.Divergence) -> [Action] {
        let question = divergence.question
        // The log may have been cut by the same answer already, and have grown to that end again: as another one then.
        guard follows(question.epoch), question.offset == log.end,
            question.lastEpoch == log.epochs.last(before: log.end)
        else { return [] }
        let own = log.epochs.end(of: divergence.lastEpoch, logEnd: log.end)?.end ?? log.start
        let end = min(own, divergence.end)
        writes += 1
        return [end > log.start ? .truncate(to: end) : .restart(at: divergence.start)]
    }

    private mutating func restart(at offset: Int64, epoch: Int32) -> [Action] {
        guard follows(epoch), log.end < offset || log.start == log.end else { return [] }
        writes += 1
        return [.restart(at: offset)]
    }
}
