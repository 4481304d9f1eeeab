import Seeds

@testable import Ratchet

/// The pipeline around a scheduler, with all that is left to chance drawn from a seed: fetches, workers, failures, the
/// writer's pace, revocations, lost partitions and pauses. It notes what must never be.
struct SimulatedShell {
    let execution: Scheduler.Execution
    let ordering: Ordering
    let limits: Scheduler.Limits
    let keyed: Bool
    static let largestFetch = 12
    static let workers = 4

    var random: SeededRandom
    var scheduler: Scheduler
    var partitions: [SimulatedPartition]
    var writer = SimulatedWriter()
    var claims = ClaimTable()
    var running: [SettlementEntry] = []
    var nextWaiter = 0
    var now: Int64 = 0
    /// Leases that drain, by slot: those that have drained are let go of in the same step.
    var draining: [Int: PartitionLease] = [:]
    var drained: Set<Int> = []
    var problems: [String] = []
    var isCalm = false
    /// Pieces that are not written yet fail, and no further one may be taken.
    var hasFailed = false
    /// What a fetch brought and is not taken in yet.
    var admitting: (batch: KeyedBatch, range: Range<Int>)?

    init(_ seed: Seed, execution: Scheduler.Execution, ordering: Ordering) {
        random = seed.random
        self.execution = execution
        self.ordering = ordering
        keyed = random.chance(80)
        limits = Scheduler.Limits(
            partitionMessages: random.below(40) + 1,
            messages: random.below(80) + 1,
            bytes: random.below(4000) + 1,
            pieceMessages: random.below(20) + 1,
            pieces: random.below(3) + 1,
            linger: Int64(random.below(3) * random.below(20)),
            burst: random.below(20)
        )
        scheduler = Scheduler(execution: execution, ordering: ordering, limits: limits)
        partitions = []
        for number in 0..<random.below(4) + 1 { partitions.append(SimulatedPartition(number, &random, keyed: keyed)) }
    }

    /// Runs to the end; returns whether it came there.
    mutating func run() throws -> Bool {
        for _ in 0..<1_500 { try step() }
        isCalm = true
        writer.failurePercent = 0
        var steps = 0
        while !isFinished {
            steps += 1
            if steps > 60_000 { return false }
            try step()
        }
        return true
    }

    /// Runs for a while, until a piece is not written; then whatever is under way comes to its end. Returns whether all
    /// partitions have drained.
    mutating func runIntoFailure() throws -> Bool {
        for _ in 0..<random.below(600) { try step() }
        try failPiece()
        for _ in 0..<200 { try step() }
        isCalm = true
        for partition in partitions {
            guard let lease = partition.lease, draining[lease.slot] == nil else { continue }
            draining[lease.slot] = lease
            scheduler.drain(slot: lease.slot)
        }
        perform()
        while admitting != nil { admitPart() }
        for _ in 0..<2_000 where !running.isEmpty || !writer.pieces.isEmpty {
            finishOne()
            returnPiece()
            perform()
            check()
        }
        return draining.isEmpty && running.isEmpty && writer.pieces.isEmpty
    }

    /// The writer refuses the next piece at once, before those it has taken; or what it has taken fails, in order.
    private mutating func failPiece() throws {
        let isRefused = random.chance(50)
        func isReady(_ shell: SimulatedShell) -> Bool {
            isRefused ? shell.scheduler.hasPiece : shell.writer.pieces.contains { $0.outcomes == nil }
        }
        // When all is settled already, what comes fails instead.
        for _ in 0..<1_000 where !isReady(self) { try step() }
        if isRefused, let piece = scheduler.takePiece() {
            for entry in piece.entries { entry.batch.lease.fence() }
            scheduler.failed(piece: piece.number, entries: piece.entries)
        }
        hasFailed = true
        perform()
    }

    private var isFinished: Bool {
        partitions.allSatisfy(\.isDone) && scheduler.inFlight == 0 && draining.isEmpty && writer.pieces.isEmpty
            && running.isEmpty
    }

    private mutating func step() throws {
        switch random.below(100) {
        case ..<25: if admitting == nil { try fetch(random.below(partitions.count)) } else { admitPart() }
        case ..<45: if execution == .inTasks { start() }
        case ..<60: finishOne()
        case ..<70: takePiece()
        case ..<80: if !hasFailed { writer.write(&partitions, ordering, &random) }
        case ..<90: returnPiece()
        case ..<96:
            now += Int64(random.below(20))
            scheduler.observe(now)
            scheduler.tick(now)
        case ..<98: scheduler.setFull(!isCalm && random.chance(50))
        default: if !isCalm { revoke(random.below(partitions.count)) }
        }
        perform()
        check()
    }

    private mutating func fetch(_ at: Int) throws {
        guard let lease = partitions[at].lease else { return assign(at) }
        guard draining[lease.slot] == nil, !partitions[at].isPaused else { return }
        guard partitions[at].next < partitions[at].messages.count else { return }
        let batch = try partitions[at].fetch(random.below(Self.largestFetch) + 1, under: lease, keyed: keyed)
        admitting = (batch, 0..<random.below(batch.messages.count) + 1)
        admitPart()
    }

    /// Takes the next part of a fetched batch in; what comes between two parts is whatever comes.
    private mutating func admitPart() {
        guard let (batch, range) = admitting else { return }
        scheduler.admit(batch, range)
        let count = batch.messages.count
        admitting = range.upperBound == count ? nil : (batch, range.upperBound..<count)
    }

    private mutating func assign(_ at: Int) {
        partitions[at].generation += 1
        let position = PartitionPosition(
            key: [],
            tracker: partitions[at].tracker,
            generation: partitions[at].generation,
            isKnown: true
        )
        let lease = PartitionLease(
            partition: partitions[at].name,
            generation: partitions[at].generation,
            slot: scheduler.reserveSlot(),
            position: position
        )
        partitions[at].lease = lease
        partitions[at].isPaused = false
        let watermark = partitions[at].tracker.watermark
        partitions[at].next =
            partitions[at].messages.firstIndex { $0.offset >= watermark } ?? partitions[at].messages.count
        scheduler.add(lease)
    }

    private mutating func start() {
        while running.count < Self.workers, var entry = scheduler.start() {
            if scheduler.hasFailed { problems.append("a message starts though the ledger has failed") }
            if entry.batch.isKeyed, !entry.holdsClaim {
                nextWaiter += 1
                guard claims.claim(entry.fingerprint, for: .init(pipeline: 1, message: nextWaiter)) else {
                    scheduler.wait(entry, as: nextWaiter)
                    continue
                }
                entry.holdsClaim = true
            }
            let lane = ordering.lane(of: entry)
            if running.contains(where: { ordering.lane(of: $0) == lane }) { problems.append("two of a lane run") }
            if keyed, running.contains(where: { $0.fingerprint == entry.fingerprint }) {
                problems.append("two of a key run")
            }
            if entry.isFault { problems.append("a fault runs") }
            running.append(entry)
        }
    }

    private mutating func finishOne() {
        guard !running.isEmpty else { return }
        var entry = running.remove(at: random.below(running.count))
        switch isCalm ? 0 : random.below(12) {
        case 6: scheduler.unstarted(entry, keepsClaim: true)
        case 5: scheduler.unstarted(entry, keepsClaim: false)
        case 7: scheduler.failed(entry, retryAt: now + Int64(random.below(30)))
        case 8:
            entry.result = .givenUp(.deadLetter(.handler, SimulatedWriter.Failure()))
            scheduler.finished(entry)
        case 9:
            entry.result = .givenUp(.discard(SimulatedWriter.Failure()))
            scheduler.finished(entry)
        default: scheduler.finished(entry)
        }
    }

    private mutating func takePiece() {
        guard let piece = scheduler.takePiece() else { return }
        if scheduler.hasFailed { problems.append("a piece follows one that was not written") }
        if piece.entries.isEmpty || piece.entries.count > limits.pieceMessages {
            problems.append("a piece of the wrong size")
        }
        writer.pieces.append(.init(number: piece.number, entries: piece.entries))
        if writer.pieces.count > limits.pieces { problems.append("too many pieces under way") }
    }

    private mutating func returnPiece() {
        guard let piece = writer.pieces.first, piece.outcomes != nil || hasFailed else { return }
        writer.pieces.removeFirst()
        guard let outcomes = piece.outcomes else {
            return scheduler.failed(piece: piece.number, entries: piece.entries)
        }
        let due = now + Int64(random.below(30))
        scheduler.returned(piece: piece.number, ReturnedMessages(piece.entries, outcomes)) { _ in due }
    }

    /// A partition goes: drained first, to the end or to a deadline, or lost at once.
    private mutating func revoke(_ at: Int) {
        guard let lease = partitions[at].lease else { return }
        if draining[lease.slot] == nil, random.chance(70) {
            draining[lease.slot] = lease
            scheduler.drain(slot: lease.slot)
        } else if random.chance(40) {
            letGo(lease)
        }
    }

    private mutating func letGo(_ lease: PartitionLease) {
        lease.fence()
        scheduler.remove(slot: lease.slot)
        draining[lease.slot] = nil
        partitions[lease.partition.partition].lease = nil
    }

    private mutating func perform() {
        for action in scheduler.takeActions() {
            switch action {
            case .pause(let partition): partitions[partition.partition].isPaused = true
            case .resume(let partition): partitions[partition.partition].isPaused = false
            case .drained(let slot):
                if !drained.insert(slot).inserted { problems.append("drained twice") }
                guard let lease = draining[slot] else { continue }
                if scheduler.inFlight(slot: slot) != 0 { problems.append("drained with messages in flight") }
                letGo(lease)
            case .idle: problems.append("told that a partition is idle, and has not asked")
            }
        }
        for fingerprint in scheduler.takeReleasedClaims() {
            for waiter in claims.release(fingerprint) { scheduler.stopWaiting(waiter.message) }
        }
    }

    private mutating func check() {
        var total = 0
        for partition in partitions {
            guard let lease = partition.lease else { continue }
            let count = scheduler.inFlight(slot: lease.slot)
            total += count
            if count < 0 || count >= limits.partitionMessages + Self.largestFetch {
                problems.append("\(count) in flight")
            }
        }
        // Once the ledger has failed nothing is taken in any more.
        // What is let go of while actions are performed asks for more of them, which come with the next step.
        if total == 0, !scheduler.isFull, !scheduler.hasFailed, scheduler.actions.isEmpty {
            for partition in partitions where partition.lease != nil && partition.isPaused {
                problems.append("\(partition.name) is paused for nothing")
            }
        }
        // Nothing else would have what waits looked at again.
        if writer.pieces.isEmpty, !scheduler.hasFailed, !scheduler.settling.isEmpty, !scheduler.hasPiece {
            let due = scheduler.nextDue ?? .max
            if due > scheduler.now + limits.linger { problems.append("what waits for the ledger is due at \(due)") }
        }
        if total != scheduler.inFlight { problems.append("\(scheduler.inFlight) in flight, \(total) in partitions") }
    }
}
