import DequeModule
import Ratchet

/// What one member was told, and where it reads. Methods that return a continuation want it resumed outside of the
/// lock.
struct MemberState {
    typealias Waiter = CheckedContinuation<Void, any Error>

    /// An assigned partition.
    struct Fetch {
        let log: PartitionLog
        let generation: Int64
        /// The offset of the next message; nil before it was started.
        var position: Int64?
        /// The offset after the last message delivered: what is gone from there to the next one is covered by that one's
        /// batch, as nothing else would ever settle it.
        var delivered: Int64 = 0
        var isPaused = false
        var isRevoked = false
        /// The log does not hold what comes next, and the member was told so.
        var isOutside = false
        var place: LogReader.Place?
        /// How often it was started: tells a read that is under way that its position is out of date.
        var starts = 0

        /// Whether there is something to read: messages, or that the position is out of range.
        var isReady: Bool {
            guard let position, !isPaused, !isRevoked, !isOutside else { return false }
            let range = log.range
            return !(range.upperBound...max(range.upperBound, log.held.upperBound) ~= position) && log.isLed
        }
    }

    enum Step {
        case event(SourceEvent)
        case read(Fetch)
        case failure(any Error)
        /// The member was evicted and must join again.
        case rejoin
        case wait
    }

    private enum End {
        case closed
        case failed(any Error)
    }

    /// In the order in which they were assigned.
    var fetches: [Fetch] = []
    private var isEvicted = false
    private(set) var isInNext = false
    private(set) var seen: Duration
    private var events = Deque<SourceEvent>()
    private var turn = 0
    private var waiter: Waiter?
    private var isCancelled = false
    private var end: End?
    /// Opened when a partition may have found a leader, or was taken away.
    private var watches: [Latch] = []

    init(seen: Duration) { self.seen = seen }

    // MARK: next

    mutating func enterNext(now: Duration) throws(SourceError) {
        guard !isInNext else {
            throw SourceError(.invalidArgument, "next() was called while another call waits: one task calls it")
        }
        isInNext = true
        isCancelled = false
        seen = now
    }

    mutating func leaveNext(now: Duration) {
        isInNext = false
        seen = now
    }

    /// What comes next: events before messages, and the partitions in turn.
    mutating func step() -> Step {
        if let event = takeEvent() { return .event(event) }
        switch end {
        case .closed: return .event(.closed)
        case .failed(let error): return .failure(error)
        case nil: break
        }
        if isEvicted {
            isEvicted = false
            return .rejoin
        }
        for distance in fetches.indices {
            let index = (turn + distance) % fetches.count
            if fetches[index].isReady {
                turn = index + 1
                return .read(fetches[index])
            }
        }
        return .wait
    }

    var isWaiting: Bool { waiter != nil }

    private var hasWork: Bool { readyEvent != nil || end != nil || isEvicted || fetches.contains { $0.isReady } }

    /// Keeps the waiter, or returns at once how to resume it.
    mutating func wait(_ continuation: Waiter) -> Result<Void, any Error>? {
        if isCancelled { return .failure(CancellationError()) }
        if hasWork { return .success(()) }
        waiter = continuation
        return nil
    }

    mutating func cancelWait() -> Waiter? {
        isCancelled = true
        return waiter.take()
    }

    mutating func takeWaiterIfReady() -> Waiter? { hasWork ? waiter.take() : nil }

    /// Moves a partition on after a read; false when what was read must not be delivered any more.
    mutating func advance(_ read: Fetch, past found: LogReader.Found, _ place: LogReader.Place?) -> Bool {
        guard let index = index(of: read), !fetches[index].isPaused, !fetches[index].isRevoked else { return false }
        fetches[index].position = found.next
        if let batch = found.batch { fetches[index].delivered = batch.lastOffset + 1 }
        fetches[index].place = place
        return true
    }

    /// What to tell of a partition whose log does not hold what was to be read; nil when that is out of date, or the log
    /// is about to say so.
    mutating func tellGap(_ read: Fetch) -> SourceEvent? {
        guard let index = index(of: read), let position = fetches[index].position, !fetches[index].isPaused,
            !fetches[index].isRevoked
        else { return nil }
        let (fetch, range) = (fetches[index], fetches[index].log.range)
        guard position < range.lowerBound || position > fetch.log.held.upperBound else { return nil }
        fetches[index].isOutside = true
        return .outOfRange(
            OffsetGap(
                partition: fetch.log.partition,
                generation: fetch.generation,
                position: fetch.delivered,
                log: range
            )
        )
    }

    /// Whether what was read is still what the member is at.
    func isCurrent(_ read: Fetch) -> Bool { index(of: read) != nil }

    private func index(of read: Fetch) -> Int? {
        fetches.firstIndex {
            $0.log === read.log && $0.generation == read.generation && $0.starts == read.starts
        }
    }

    // MARK: Partitions

    private func index(of partition: TopicPartition) -> Int? {
        fetches.firstIndex { $0.log.partition == partition }
    }

    func generation(of partition: TopicPartition) -> Int64? { index(of: partition).map { fetches[$0].generation } }

    /// The partition as `next` has told of it last; throws if it was taken away since. One that is assigned anew and not
    /// told yet may be of another topic of the same name.
    func assignment(of partition: TopicPartition) throws(SourceError) -> Fetch {
        let isUntold = events.contains { event in
            guard case .assigned(let assignments) = event else { return false }
            return assignments.contains { $0.partition == partition }
        }
        guard !isUntold, let index = index(of: partition) else {
            throw SourceError(.notAssigned, "\(partition) is not assigned to this member")
        }
        return fetches[index]
    }

    /// Throws unless the partition is assigned under this generation.
    func assignment(of partition: TopicPartition, generation: Int64) throws(SourceError) -> Fetch {
        guard let index = index(of: partition) else {
            throw SourceError(.notAssigned, "\(partition) is not assigned to this member")
        }
        let assigned = fetches[index].generation
        guard assigned == generation else {
            throw SourceError(.fenced, "\(partition) is assigned under generation \(assigned), not \(generation)")
        }
        return fetches[index]
    }

    mutating func start(_ partition: TopicPartition, at offset: Int64) -> Waiter? {
        guard let index = index(of: partition) else { return nil }
        fetches[index].position = offset
        fetches[index].delivered = offset
        fetches[index].place = nil
        fetches[index].isOutside = false
        fetches[index].starts += 1
        return takeWaiterIfReady()
    }

    mutating func setPaused(_ paused: Bool, _ partition: TopicPartition) -> Waiter? {
        guard let index = index(of: partition) else { return nil }
        fetches[index].isPaused = paused
        return takeWaiterIfReady()
    }

    mutating func revoke(_ partitions: [TopicPartition]) {
        forgetUntold { partitions.contains($0.log.partition) }
        for index in fetches.indices where partitions.contains(fetches[index].log.partition) {
            fetches[index].isRevoked = true
        }
    }

    /// Partitions are the member's no more; returns their logs.
    mutating func drop(_ isDropped: (Fetch) -> Bool) -> [PartitionLog] {
        forgetUntold(isDropped)
        let logs = fetches.filter(isDropped).map(\.log)
        fetches.removeAll(where: isDropped)
        return logs
    }

    /// One that comes after the last partition has gone is open at once.
    mutating func watch(_ latch: Latch) {
        if fetches.isEmpty { latch.open() } else { watches.append(latch) }
    }

    /// Nobody waits for it any more.
    mutating func unwatch(_ latch: Latch) { watches.removeAll { $0 === latch } }

    mutating func takeWatches() -> [Latch] {
        defer { watches = [] }
        return watches
    }

    // MARK: Events

    mutating func evict() { isEvicted = true }

    mutating func post(_ event: SourceEvent?) -> Waiter? {
        guard end == nil else { return nil }
        if let event { events.append(event) }
        return waiter.take()
    }

    /// What is to be told next, nil for nothing now. An assignment waits until a node leads the partition: of a log that none
    /// has led since the broker's opening nobody knows what it holds, and it would pass for one that is empty.
    private var readyEvent: Int? {
        events.firstIndex { event in
            guard case .assigned(let assignments) = event else { return true }
            return assignments.isEmpty || assignments.contains(where: isLed)
        }
    }

    /// What waits for a leader of these is told no more.
    private mutating func forgetUntold(_ isGone: (Fetch) -> Bool) {
        let gone = fetches.filter { isGone($0) && !$0.log.isLed }.map(\.log.partition)
        guard !gone.isEmpty else { return }
        for index in events.indices.reversed() {
            guard case .assigned(var assignments) = events[index] else { continue }
            assignments.removeAll { gone.contains($0.partition) }
            if assignments.isEmpty { events.remove(at: index) } else { events[index] = .assigned(assignments) }
        }
    }

    private func isLed(_ assignment: Assignment) -> Bool {
        index(of: assignment.partition).map { fetches[$0].log.isLed } ?? true
    }

    private mutating func takeEvent() -> SourceEvent? {
        guard let index = readyEvent else { return nil }
        guard case .assigned(let assignments) = events[index] else { return events.remove(at: index) }
        var (told, kept): ([Assignment], [Assignment]) = ([], [])
        for assignment in assignments {
            if isLed(assignment) { told.append(upToDate(assignment)) } else { kept.append(assignment) }
        }
        // A leader may be gone since it was looked for.
        guard !told.isEmpty || assignments.isEmpty else { return nil }
        if kept.isEmpty { events.remove(at: index) } else { events[index] = .assigned(kept) }
        return .assigned(told)
    }

    /// With the log as it is now.
    private func upToDate(_ assignment: Assignment) -> Assignment {
        guard let index = index(of: assignment.partition), fetches[index].generation == assignment.generation else {
            return assignment
        }
        var assignment = assignment
        assignment.log = fetches[index].log.held
        return assignment
    }

    mutating func end(_ error: (any Error)?) -> Waiter? {
        guard end == nil else { return nil }
        end = error.map { .failed($0) } ?? .closed
        events.removeAll()
        return waiter.take()
    }
}
