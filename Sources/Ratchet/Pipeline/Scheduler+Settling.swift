import DequeModule
import HeapModule

extension Scheduler {
    /// Whether something waits for the ledger and may go.
    package var hasPiece: Bool { canTakePiece && !isLingering }

    private var canTakePiece: Bool { !hasFailed && !settling.isEmpty && lastPiece - returnedPiece < limits.pieces }

    // Each transaction rewrites the pages it touches: while more is about to finish, or comes fast, a short wait makes it
    // serve many messages. While the ledger has others of ours, that is wait enough.
    private var isLingering: Bool {
        guard let lingerUntil, now < lingerUntil, settling.count < worthwhile else { return false }
        switch execution {
        case .inTasks: return !ready.isEmpty || handedOut > 0
        case .inWriter: return isIdle && inFlightBytes < limits.bytes / 4 && slots.contains { isTakenFrom(slot: $0) }
        }
    }

    /// So many messages are worth a transaction of their own. Where handlers run in the writer, others have room for
    /// three times as many in the meantime.
    private var worthwhile: Int {
        switch execution {
        case .inTasks: limits.pieceMessages / 2
        case .inWriter: min(limits.pieceMessages / 2, limits.partitionMessages / 4, limits.messages / 4)
        }
    }

    /// The ledger has nothing of ours.
    private var isIdle: Bool { lastPiece == returnedPiece }

    private func isTakenFrom(slot: Int) -> Bool {
        guard let partition = partitions[slot] else { return false }
        return !partition.isPaused && !partition.isDraining
    }

    /// Before a message is appended to what waits for the ledger: more may follow it there.
    mutating func lingerForMore() {
        switch execution {
        case .inTasks: if settling.isEmpty { lingerUntil = now + limits.linger }
        case .inWriter: lingerWhileComing()
        }
    }

    // Messages come fast if many have just gone to the ledger, and as long as there is no pause between them.
    private mutating func lingerWhileComing() {
        let pause = limits.linger / 2
        if settling.isEmpty {
            let comeFast = countSinceIdle >= limits.burst && now - idleSince <= pause
            lingerLimit = comeFast ? now + limits.linger : now
            lingerUntil = lingerLimit
        }
        if let lingerUntil, now < lingerUntil { self.lingerUntil = min(lingerLimit, now + pause) }
    }

    /// When the scheduler has to be looked at again though nothing happens: a held lane is due, or a piece has
    /// lingered; nil for neither.
    package var nextDue: Deadline? {
        let lingered = canTakePiece && isLingering ? lingerUntil : nil
        guard let due = dues.min?.time else { return lingered }
        return min(due, lingered ?? due)
    }

    /// The next piece for the ledger: everything that waits to be settled, up to the limit; nil if there is nothing or
    /// enough under way.
    package mutating func takePiece() -> (number: Int, entries: [SettlementEntry])? {
        guard hasPiece else { return nil }
        if isIdle { countSinceIdle = 0 }
        countSinceIdle += min(settling.count, limits.pieceMessages)
        lastPiece += 1
        lingerUntil = nil
        if settling.count <= limits.pieceMessages {
            defer { settling = [] }
            return (lastPiece, settling)
        }
        let entries = Array(settling[..<limits.pieceMessages])
        settling.removeFirst(limits.pieceMessages)
        return (lastPiece, entries)
    }

    /// A piece came back, durable. Pieces come back in the order in which they were taken. `retryAt` says when a
    /// message that failed for the so-manieth time runs again.
    package mutating func returned(
        piece: Int,
        _ returned: ReturnedMessages,
        retryAt: (SettlementEntry) -> Deadline
    ) {
        precondition(
            piece == returnedPiece + 1 || piece <= returnedPiece,
            "piece \(piece) came back after \(returnedPiece)"
        )
        returnedPiece = max(returnedPiece, piece)
        if isIdle { idleSince = now }
        for (entry, outcome) in returned.unfinished {
            let isDraining = hasFailed || partitions[entry.batch.lease.slot]?.isDraining ?? true
            switch outcome {
            case .stopped: stopped(entry)
            case .deferred where !isDraining: deferred(entry)
            case .failed where !isDraining: hold(entry, until: retryAt(entry))
            default: release(entry)
            }
        }
        releasedClaims += returned.claims
        for (batch, count) in returned.finished { release(count, of: batch) }
        armReturned()
        balance()
    }

    /// A piece was not written, and none after it may be: all that would go to the ledger is let go, and nothing starts
    /// any more.
    package mutating func failed(piece: Int, entries: [SettlementEntry]) {
        // A piece that the writer refuses comes back at once, before those that it took.
        returnedPiece = max(returnedPiece, piece)
        hasFailed = true
        let unsettled = entries + settling
        settling = []
        for entry in unsettled { release(entry) }
        balance()
    }

    /// The message is settled or let go.
    mutating func release(_ entry: SettlementEntry) {
        if entry.holdsClaim { releasedClaims.append(entry.fingerprint) }
        release(1, of: entry.batch)
    }

    mutating func release(_ count: Int, of batch: KeyedBatch) {
        let slot = batch.lease.slot
        guard partitions[slot] != nil else { return }
        partitions[slot]!.inFlight -= count
        inFlight -= count
        batch.unsettled -= count
        if batch.unsettled == 0 {
            partitions[slot]!.inFlightBytes -= batch.messages.byteCount
            inFlightBytes -= batch.messages.byteCount
        }
        guard partitions[slot]!.inFlight == 0 else { return }
        if partitions[slot]!.isDraining { actions.append(.drained(slot: slot)) }
        if partitions[slot]!.isAwaited {
            partitions[slot]!.isAwaited = false
            actions.append(.idle(slot: slot))
        }
    }

    // MARK: Draining

    /// Pauses the partition, takes no more of its messages in, and lets go of all that have not started; what runs may
    /// finish. Ends in ``Action/drained(slot:)``. Returns what is let go and was never tried.
    @discardableResult
    package mutating func drain(slot: Int) -> Untried {
        guard partitions[slot]?.isDraining == false else { return Untried() }
        let dropped = dropUnstarted(slot: slot)
        // From here on the last message to be released says so.
        partitions[slot]!.isDraining = true
        if !partitions[slot]!.isPaused {
            partitions[slot]!.isPaused = true
            actions.append(.pause(partitions[slot]!.lease.partition))
        }
        if partitions[slot]!.inFlight == 0 { actions.append(.drained(slot: slot)) }
        balance()
        let tried = Set(dropped.filter { !$0.isUntried }.map { lane(of: $0) })
        var untried = Untried()
        for entry in dropped where entry.isUntried {
            let lane = lane(of: entry)
            // Where handlers run in the writer, it may have earlier messages of any lane.
            if execution == .inWriter || tried.contains(lane) || lanes[lane] != nil {
                untried.behind.append(entry.offset)
            } else {
                untried.free.append(entry.offset)
            }
        }
        untried.free.sort()
        untried.behind.sort()
        return untried
    }

    /// The offsets of messages that a drain lets go of, in order, and of which none was tried.
    package struct Untried: Hashable, Sendable {
        /// Nothing of their lanes was begun.
        package var free: [Int64] = []
        /// Earlier ones of their lanes may run, or have failed.
        package var behind: [Int64] = []
    }

    @discardableResult
    mutating func dropUnstarted(slot: Int) -> [SettlementEntry] {
        var dropped: [SettlementEntry] = []
        func isOurs(_ entry: SettlementEntry) -> Bool { entry.batch.lease.slot == slot }
        ready.removeAll { entry in
            guard isOurs(entry) else { return false }
            dropped.append(entry)
            return true
        }
        for number in waiting.keys.sorted() where isOurs(waiting[number]!) {
            dropped.append(waiting.removeValue(forKey: number)!)
        }
        let ended = dropped.map { lane(of: $0) }
        // In the order of the lanes, not in the dictionary's: so claims are given back in the same order each time.
        for lane in lanes.keys.sorted() {
            guard let queue = lanes[lane], let first = queue.first, isOurs(first) else { continue }
            dropped.append(contentsOf: queue)
            lanes[lane] = Deque()
        }
        for lane in ended { lanes[lane] = nil }
        for lane in held.keys.sorted() {
            guard let state = held[lane], state.slot == slot else { continue }
            dropped.append(contentsOf: state.entries)
            held[lane] = nil
        }
        if execution == .inWriter {
            settling.removeAll { entry in
                guard isOurs(entry) else { return false }
                dropped.append(entry)
                return true
            }
        }
        for entry in dropped { release(entry) }
        return dropped
    }

    /// The fingerprints whose claims were given back since the last call.
    package mutating func takeReleasedClaims() -> [UInt64] {
        guard !releasedClaims.isEmpty else { return [] }
        defer { releasedClaims.removeAll(keepingCapacity: false) }
        return releasedClaims
    }
}
