import DequeModule

/// In which order what was decided goes to its partitions, and what goes again. Decides; does nothing else.
///
/// A partition gets its parts by rising keys, some at a time, and the next ones only once it is known that it has those:
/// so one that has a part has all before it.
struct RedoLanes<Content: Sendable>: Sendable {
    /// Messages of one partition.
    struct Part: Sendable {
        let key: RedoKey
        /// The partition.
        let uid: UInt32
        /// The producer that waits for it, nil for none.
        let owner: Int64?
        let bytes: Int
        let content: Content
    }

    enum Answer: Sendable {
        /// All in-sync replicas have it.
        case isThere
        /// They have not, or it is not known.
        case failed
        /// There is no such partition any more.
        case isGone
    }

    enum Event: Sendable {
        /// It is durable that these are to come. Their keys are above all earlier ones.
        case decided([Part])
        /// To what was to be appended to the partition last.
        case answered(uid: UInt32, Answer)
        /// What has failed there may succeed now.
        case retry(uid: UInt32)
        case retryAll
    }

    enum Action: Sendable {
        /// An answer follows.
        case append(uid: UInt32, [Part])
        /// Nothing more is to be done about these.
        case settled([Part])
        /// Nothing that the producer has decided is left.
        case idle(owner: Int64)
        /// The partition has not taken what is decided, for so many attempts on end: each time that there are twice as
        /// many.
        case stuck(uid: UInt32, attempts: Int)
    }

    /// What goes to a partition at once, unless a single part is larger.
    static var maximumBytes: Int { 4 << 20 }
    /// So many attempts may fail while a leader is elected.
    static var patience: Int { 8 }

    private struct Lane {
        var parts = Deque<Part>()
        /// How many of the first ones are on their way.
        var underWay = 0
        /// Whether to try once more, should they fail: what was waited for has come while they were on their way.
        var retries = false
        /// How many attempts have failed on end.
        var failures = 0
    }

    private var lanes: [UInt32: Lane] = [:]
    /// How many parts each has left.
    private var owners: [Int64: Int] = [:]
    /// How many parts are left.
    private(set) var count = 0

    /// Whether nothing is left.
    var isEmpty: Bool { lanes.isEmpty }

    /// Whether nothing is on its way: all that is left has failed.
    var isAtRest: Bool { lanes.allSatisfy { $0.value.underWay == 0 } }

    /// Whether something is left that the producer has decided.
    func has(owner: Int64) -> Bool { owners[owner] != nil }

    /// All producers that have something left, sorted.
    var allOwners: [Int64] { owners.keys.sorted() }

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .decided(let parts):
            var uids: [UInt32] = []
            count += parts.count
            for part in parts {
                lanes[part.uid, default: Lane()].parts.append(part)
                if let owner = part.owner { owners[owner, default: 0] += 1 }
                if !uids.contains(part.uid) { uids.append(part.uid) }
            }
            return uids.flatMap { send($0) }
        case .answered(let uid, let answer): return answered(uid, answer)
        case .retry(let uid): return retry(uid)
        case .retryAll: return lanes.keys.sorted().flatMap { retry($0) }
        }
    }

    private mutating func retry(_ uid: UInt32) -> [Action] {
        guard let lane = lanes[uid] else { return [] }
        if lane.underWay > 0 { lanes[uid]?.retries = true }
        return send(uid)
    }

    private mutating func answered(_ uid: UInt32, _ answer: Answer) -> [Action] {
        guard var lane = lanes[uid] else { return [] }
        let sent = lane.underWay
        lane.underWay = 0
        switch answer {
        case .failed:
            defer { lanes[uid] = lane }
            lane.failures += 1
            let isNews = lane.failures >= Self.patience && lane.failures.nonzeroBitCount == 1
            let stuck: [Action] = isNews ? [.stuck(uid: uid, attempts: lane.failures)] : []
            guard lane.retries else { return stuck }
            lane.retries = false
            return stuck + begin(&lane, uid)
        case .isThere:
            let settled = Array(lane.parts.prefix(sent))
            lane.parts.removeFirst(sent)
            lane.failures = 0
            lanes[uid] = lane.parts.isEmpty ? nil : lane
            return settle(settled) + send(uid)
        case .isGone:
            lanes[uid] = nil
            return settle(Array(lane.parts))
        }
    }

    private mutating func settle(_ parts: [Part]) -> [Action] {
        var actions: [Action] = [.settled(parts)]
        count -= parts.count
        for owner in parts.compactMap(\.owner) {
            let left = (owners[owner] ?? 1) - 1
            owners[owner] = left == 0 ? nil : left
            if left == 0 { actions.append(.idle(owner: owner)) }
        }
        return actions
    }

    /// Sends the partition's next parts, unless some are on their way.
    private mutating func send(_ uid: UInt32) -> [Action] {
        guard var lane = lanes[uid], lane.underWay == 0 else { return [] }
        defer { lanes[uid] = lane }
        return begin(&lane, uid)
    }

    private func begin(_ lane: inout Lane, _ uid: UInt32) -> [Action] {
        var bytes = 0
        for part in lane.parts {
            bytes += part.bytes
            guard lane.underWay == 0 || bytes <= Self.maximumBytes else { break }
            lane.underWay += 1
        }
        return [.append(uid: uid, Array(lane.parts.prefix(lane.underWay)))]
    }
}
