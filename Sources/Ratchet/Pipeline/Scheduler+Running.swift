import DequeModule
import HeapModule

extension Scheduler {
    /// How many messages could start now.
    package var readyCount: Int { ready.count }

    /// The next message to run, in tasks; its lane is taken until ``finished(_:)`` or a hold.
    package mutating func start() -> SettlementEntry? { hasFailed ? nil : ready.popFirst() }

    /// A message that was to start has not: it is the next one again. Without its claim others may run its key first.
    package mutating func unstarted(_ entry: consuming SettlementEntry, keepsClaim: Bool) {
        let lane = lane(of: entry)
        if partitions[entry.batch.lease.slot]?.isDraining ?? true { return letGo(entry, of: lane) }
        if entry.holdsClaim, !keepsClaim {
            releasedClaims.append(entry.fingerprint)
            entry.holdsClaim = false
        }
        if held[lane] != nil {
            takeBack(entry, in: lane)
        } else {
            ready.prepend(entry)
        }
    }

    /// A message that was running will be delivered again, elsewhere or to another run.
    private mutating func letGo(_ entry: SettlementEntry, of lane: UInt64) {
        lanes[lane] = nil
        held[lane]?.isRunning = false
        release(entry)
    }

    /// A message that was running goes back behind an earlier one of its lane, which failed in the writer meanwhile: it
    /// runs again.
    private mutating func takeBack(_ entry: SettlementEntry, in lane: UInt64) {
        held[lane]!.isRunning = false
        putBack(entry.unrun, in: lane)
        arm(lane)
    }

    /// A handler finished, or its message was given up: the result goes to the ledger, the lane goes on.
    package mutating func finished(_ entry: consuming SettlementEntry) {
        if hasFailed { return release(entry) }
        let lane = lane(of: entry)
        guard partitions[entry.batch.lease.slot] != nil else {
            lanes[lane] = nil
            return release(entry)
        }
        if held[lane] != nil {
            return takeBack(entry, in: lane)
        }
        lingerForMore()
        settling.append(entry)
        advance(lane)
    }

    /// A handler failed in its task: its lane waits until `due`.
    package mutating func failed(_ entry: SettlementEntry, retryAt due: Deadline) {
        let lane = lane(of: entry)
        let slot = entry.batch.lease.slot
        if partitions[slot]?.isDraining ?? true {
            lanes[lane] = nil
            held[lane]?.isRunning = false
            release(entry)
            return balance()
        }
        var again = entry.unrun
        again.opensLane = entry.opensLane
        again.attempt += 1
        if held[lane] != nil {
            held[lane]!.isRunning = false
            putBack(again, in: lane)
            held[lane]!.due = max(held[lane]!.due, due)
        } else {
            let queued = lanes.removeValue(forKey: lane) ?? []
            held[lane] = HeldLane(entries: [again] + queued, slot: slot, due: due, piece: 0, isRunning: false)
        }
        arm(lane)
    }

    /// A message stops the pipeline: it is let go, and nothing of its lane runs any more.
    package mutating func stopped(_ entry: SettlementEntry) {
        stoppedLanes.insert(lane(of: entry))
        release(entry)
    }

    private mutating func advance(_ lane: UInt64) {
        guard lanes[lane] != nil else { return }
        if let next = lanes[lane]!.popFirst() {
            ready.append(next)
        } else {
            lanes[lane] = nil
        }
    }

    /// Sets a message aside that waits for another one of the same key; it holds no worker. Its lane stays taken.
    package mutating func wait(_ entry: SettlementEntry, as number: Int) { waiting[number] = entry }

    /// The message waits no longer: it starts again, before those that are ready.
    package mutating func stopWaiting(_ number: Int) {
        if let entry = waiting.removeValue(forKey: number) { ready.prepend(entry) }
    }

    // MARK: Held lanes

    /// Puts a message back in its place by offset.
    private mutating func putBack(_ entry: SettlementEntry, in lane: UInt64) {
        let offset = entry.offset
        let entries = held[lane]!.entries
        let at = entries.firstIndex { $0.offset > offset } ?? entries.count
        held[lane]!.entries.insert(entry, at: at)
    }

    /// A message failed in the writer, in piece `piece`: the lane is held, and all of it that is under way comes back.
    mutating func hold(_ entry: SettlementEntry, until due: Deadline) {
        let lane = lane(of: entry)
        var again = entry.unrun
        again.attempt += 1
        again.opensLane = true
        if held[lane] == nil {
            let queued = lanes.removeValue(forKey: lane)
            held[lane] = HeldLane(
                entries: Array(queued ?? []),
                slot: entry.batch.lease.slot,
                due: due,
                piece: lastPiece,
                isRunning: queued != nil
            )
        } else {
            held[lane]!.due = max(held[lane]!.due, due)
            held[lane]!.piece = lastPiece
        }
        recall(lane)
        putBack(again, in: lane)
        arm(lane)
    }

    /// Takes back what is ready, waiting or settling in a lane; what is left of it runs in a worker.
    private mutating func recall(_ lane: UInt64) {
        let settling = settling
        let ordering = ordering
        let isOurs = { (entry: SettlementEntry) in !entry.isFault && ordering.lane(of: entry) == lane }
        var back: [SettlementEntry] = []
        self.settling = []
        for entry in settling {
            if isOurs(entry) { back.append(entry.unrun) } else { self.settling.append(entry) }
        }
        let waiters = waiting.keys.filter { isOurs(waiting[$0]!) }.sorted()
        for number in waiters { back.append(waiting.removeValue(forKey: number)!) }
        let starters = ready.filter(isOurs)
        if !starters.isEmpty { ready = ready.filter { !isOurs($0) } }
        if !starters.isEmpty || !waiters.isEmpty { held[lane]!.isRunning = false }
        for entry in back + starters { putBack(entry, in: lane) }
    }

    /// A message came back from the writer unrun, because its lane is blocked there.
    mutating func deferred(_ entry: SettlementEntry) {
        let lane = lane(of: entry)
        if stoppedLanes.contains(lane) { return release(entry) }
        // The failure that blocked the lane came back before: in the same piece or an earlier one.
        precondition(
            held[lane] != nil,
            "a message of \(entry.batch.lease.partition) was deferred behind none that failed"
        )
        putBack(entry.unrun, in: lane)
    }

    /// Makes a held lane due at its time, once nothing of it is under way.
    mutating func arm(_ lane: UInt64) {
        guard let state = held[lane], !state.isRunning else { return }
        if state.piece > returnedPiece {
            returning.append((state.piece, lane))
        } else {
            dueOrder += 1
            dues.insert(Due(time: state.due, order: dueOrder, lane: lane))
        }
    }

    /// Arms the lanes of which everything has come back.
    mutating func armReturned() {
        guard !returning.isEmpty else { return }
        let returned = returning
        returning.removeAll()
        for (_, lane) in returned { arm(lane) }
    }

    /// Tries again what is due at `now`.
    package mutating func tick(_ now: Deadline) {
        while let due = dues.min, due.time <= now {
            dues.removeMin()
            guard let state = held[due.lane], !state.isRunning, state.due <= now, state.piece <= returnedPiece else {
                continue
            }
            held[due.lane] = nil
            guard let first = state.entries.first else { continue }
            if execution == .inWriter {
                settling.append(contentsOf: state.entries)
            } else {
                lanes[due.lane] = Deque(state.entries.dropFirst())
                ready.append(first)
            }
        }
    }
}
