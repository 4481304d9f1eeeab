/// What a leader knows of the others.
struct LeadingState: Sendable {
    struct Follower: Sendable {
        let node: Int
        /// The life that its last fetch was of.
        var life = 0
        /// How far its log is known to be the leader's; nil until it has asked in this epoch.
        var end: Int64?
        /// When it last had all that there was.
        var caughtUp: Duration
        /// When it asked last, and the log's end then.
        var asked: (time: Duration, end: Int64)?
        /// Where the leader's log began as it was told last.
        var start: Int64 = 0
        /// Its last fetch got nothing yet.
        var waits: ReplicaMessage.Fetch?
    }

    /// In the order of the replicas.
    var followers: [Follower]
    /// The change that the controller has not answered yet.
    var change: InSyncChange?
    var changes = 0

    func index(of node: Int) -> Int? { followers.firstIndex { $0.node == node } }
}

extension Replica {
    mutating func lead(now: Duration) -> [Action] {
        log.epochs.begin(leadership.epoch, at: log.end)
        let followers = leadership.replicas.filter { $0 != node }.map { LeadingState.Follower(node: $0, caughtUp: now) }
        role = .leader(LeadingState(followers: followers))
        return [.leads(epoch: leadership.epoch)] + advance()
    }

    /// The in-sync set is another, the leader the same.
    mutating func inSyncChanged(_ before: Leadership, now: Duration) -> [Action] {
        guard case .leader(var state) = role else { return [] }
        if let change = state.change, change.version < leadership.version { state.change = nil }
        for (index, follower) in state.followers.enumerated() {
            let isNew = leadership.inSync.contains(follower.node) && !before.inSync.contains(follower.node)
            // It is not late for what came before.
            if isNew { state.followers[index].caughtUp = now }
        }
        role = .leader(state)
        return advance() + considerAdditions()
    }

    mutating func refused(_ number: Int) -> [Action] {
        guard case .leader(var state) = role, let change = state.change, change.number == number else { return [] }
        state.change = nil
        // What is known of them is of a life that has ended.
        for addition in change.additions {
            guard let index = state.index(of: addition.node), state.followers[index].life == addition.life else {
                continue
            }
            state.followers[index].end = nil
        }
        role = .leader(state)
        return []
    }

    /// The log has grown: who waits gets it.
    mutating func grown(now: Duration) -> [Action] {
        // First what that makes visible, so that it is told with it.
        advance() + answerWaiting(now: now)
    }

    /// The followers that have all there was get what there is now.
    mutating func answerWaiting(now: Duration) -> [Action] {
        guard case .leader(var state) = role else { return [] }
        var actions: [Action] = []
        for index in state.followers.indices {
            guard let fetch = state.followers[index].waits else { continue }
            guard fetch.offset < log.end || state.followers[index].start < log.start else { continue }
            state.followers[index].waits = nil
            state.followers[index].start = log.start
            // It had everything until now.
            state.followers[index].caughtUp = now
            actions.append(.send(.records(records(from: fetch.offset)), to: state.followers[index].node))
        }
        role = .leader(state)
        return actions
    }

    mutating func answer(_ fetch: ReplicaMessage.Fetch, from sender: Int, now: Duration) -> [Action] {
        guard case .leader(var state) = role, fetch.epoch == leadership.epoch, let index = state.index(of: sender),
            fetch.life >= state.followers[index].life
        else { return [] }
        if fetch.life > state.followers[index].life {
            // What it had in its last life it may not have any more.
            state.followers[index].life = fetch.life
            state.followers[index].end = nil
            state.followers[index].asked = nil
        }
        state.followers[index].waits = nil
        if let refusal = refusal(of: fetch) {
            role = .leader(state)
            return [.send(refusal, to: sender)]
        }
        state.followers[index].fetched(fetch.offset, logEnd: log.end, now: now)
        let isAtEnd = fetch.offset == log.end
        if isAtEnd { state.followers[index].waits = fetch }
        role = .leader(state)
        let actions = advance() + considerAdditions()
        return isAtEnd ? actions : actions + [.send(.records(records(from: fetch.offset)), to: sender)]
    }

    /// The answer to a follower whose log is not a beginning of this one, nil if it is.
    private func refusal(of fetch: ReplicaMessage.Fetch) -> ReplicaMessage? {
        guard let lastEpoch = fetch.lastEpoch else {
            return fetch.offset == log.start ? nil : .restart(epoch: leadership.epoch, at: log.start)
        }
        if fetch.offset < log.start { return .restart(epoch: leadership.epoch, at: log.start) }
        let known = log.epochs.end(of: lastEpoch, logEnd: log.end)
        if let known, known.epoch == lastEpoch, fetch.offset <= known.end { return nil }
        return .diverging(
            .init(
                question: fetch,
                lastEpoch: known?.epoch ?? 0,
                end: known?.end ?? log.start,
                start: log.start
            )
        )
    }

    private func records(from offset: Int64) -> ReplicaMessage.Records {
        ReplicaMessage.Records(
            epoch: leadership.epoch,
            from: offset,
            end: log.end,
            start: log.start,
            epochs: log.epochs,
            highWatermark: highWatermark
        )
    }

    /// Moves the high watermark to what all have who are in sync, or may be by now.
    private mutating func advance() -> [Action] {
        guard case .leader(let state) = role, leadership.isSufficient else { return [] }
        var end = log.end
        for follower in state.followers {
            let counts =
                leadership.inSync.contains(follower.node)
                || state.change?.members.contains(follower.node) ?? false
            if counts { end = min(end, follower.end ?? 0) }
        }
        guard end > highWatermark else { return [] }
        highWatermark = end
        return [.advanced(to: end)]
    }

    // MARK: Who is in sync

    /// Asks for those to be in sync who have all that is visible, and something of what this leader has begun with.
    private mutating func considerAdditions() -> [Action] {
        guard case .leader(let state) = role, state.change == nil else { return [] }
        let begin = log.epochs.entries.last { $0.epoch == leadership.epoch }?.start ?? log.end
        let additions = state.followers.filter { follower in
            guard let end = follower.end, !leadership.inSync.contains(follower.node) else { return false }
            return end >= max(highWatermark, begin)
        }
        guard !additions.isEmpty else { return [] }
        return ask(leadership.inSync + additions.map(\.node), additions.map { .init(node: $0.node, life: $0.life) })
    }

    mutating func leaderTick(now: Duration) -> [Action] {
        guard case .leader(let state) = role else { return [] }
        // The question or its answer may have been lost.
        if let change = state.change { return [.ask(change)] }
        let late = state.followers.filter { follower in
            leadership.inSync.contains(follower.node) && follower.end != log.end && now - follower.caughtUp > lagTime
        }
        guard !late.isEmpty else { return considerAdditions() }
        return ask(leadership.inSync.filter { member in !late.contains { $0.node == member } }, [])
    }

    private mutating func ask(_ members: [Int], _ additions: [InSyncChange.Addition]) -> [Action] {
        guard case .leader(var state) = role else { return [] }
        state.changes += 1
        let change = InSyncChange(
            number: state.changes,
            leader: node,
            epoch: leadership.epoch,
            version: leadership.version,
            members: members,
            additions: additions
        )
        state.change = change
        role = .leader(state)
        return [.ask(change)]
    }
}

extension LeadingState.Follower {
    /// It has everything up to `offset`.
    mutating func fetched(_ offset: Int64, logEnd: Int64, now: Duration) {
        // A late fetch does not take back what a later one has told.
        end = max(end ?? 0, offset)
        if offset >= logEnd {
            caughtUp = now
        } else if let asked, offset >= asked.end {
            // It had all that there was when it asked before: it is behind by no more than that time.
            caughtUp = max(caughtUp, asked.time)
        }
        asked = (now, logEnd)
    }
}
