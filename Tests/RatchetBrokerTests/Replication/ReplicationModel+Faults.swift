import Seeds

@testable import RatchetBroker

extension ReplicationModel {
    mutating func fault() {
        let node = random.below(nodes.count)
        switch random.below(12) {
        case 0...3: crash(node, isWiped: false)
        case 4: crash(node, isWiped: true)
        case 5, 6:
            guard isReachable(node) else { return }
            nodes[node].isCutOff = true
            if let life = nodes[node].replica?.life { after(100 + random.below(1500), .noticed(node, life: life)) }
            after(random.below(2500), .reconnect(node))
        case 7, 8:
            nodes[node].isSlow = true
            after(random.below(2500), .quicken(node))
        case 9: (lossPercent, repeatPercent) = (random.below(30), random.below(30))
        case 10: restartAll()
        default: trim(node)
        }
    }

    private mutating func crash(_ node: Int, isWiped: Bool) {
        guard nodes[node].isRunning else { return }
        let losses = nodes.count { $0.hasLost }
        let mayLose = nodes[node].hasLost || losses < setting.maximumLosses
        // One that confirms on receipt counts as having lost something, whether it did or not.
        guard mayLose || !isWiped && !setting.confirmsOnReceipt else { return }
        nodes[node].isRunning = false
        if let life = nodes[node].replica?.life { after(random.below(900), .noticed(node, life: life)) }
        nodes[node].boot += 1
        nodes[node].replica = nil
        nodes[node].waiting = []
        nodes[node].busyUntil = 0
        if isWiped {
            (nodes[node].records, nodes[node].synced, nodes[node].log) = ([], 0, .init())
            if setting.mistake != .trustsWipedDisk { nodes[node].disk = random.next() }
        } else if setting.confirmsOnReceipt {
            let synced = min(nodes[node].synced, nodes[node].records.count)
            let left = synced + random.below(nodes[node].records.count - synced + 1)
            nodes[node].records = Array(nodes[node].records[..<left])
            nodes[node].log.truncate(to: Int64(left))
            nodes[node].log.start = min(nodes[node].log.start, Int64(left))
        }
        if isWiped || setting.confirmsOnReceipt { nodes[node].hasLost = true }
        after(random.below(1500), .boot(node, nodes[node].boot))
    }

    mutating func start(_ node: Int) {
        nodes[node].isRunning = true
        nodes[node].boot += 1
        if !nodes[node].isCutOff { register(node) }
    }

    mutating func reconnect(_ node: Int) {
        nodes[node].isCutOff = false
        guard nodes[node].isRunning else { return }
        let known = controller.nodes[node]
        if nodes[node].replica == nil || known.life != nodes[node].replica?.life || !known.isUp { register(node) }
    }

    /// The node begins a life. Until then it is nobody's leader or follower.
    mutating func register(_ node: Int) {
        let isIntact =
            nodes[node].replica != nil || nodes[node].boot == 0 || !setting.confirmsOnReceipt
            || setting.mistake == .trustsKilledNode
        let actions = controller.handle(.up(node, disk: nodes[node].disk, isIntact: isIntact))
        let life = controller.nodes[node].life
        if nodes[node].replica == nil {
            nodes[node].replica = Replica(
                node: node,
                life: life,
                log: nodes[node].log,
                highWatermark: 0,
                lagTime: .milliseconds(Self.lagTime)
            )
        } else {
            nodes[node].replica?.life = life
        }
        perform(actions)
    }

    /// The whole process ends and begins again: all that was on its way is gone.
    private mutating func restartAll() {
        guard !setting.confirmsOnReceipt else { return }
        dropSteps { step in
            switch step {
            case .message, .tell, .refuse, .ask, .commit, .written, .noticed, .boot: true
            case .sync, .tick, .heartbeat, .send, .fault, .reconnect, .quicken: false
            }
        }
        let disks = controller.nodes.map(\.disk)
        controller = Controller(disks: disks, partitions: [(Self.uid, persisted)])
        for node in nodes.indices {
            nodes[node].replica = nil
            nodes[node].isRunning = false
            nodes[node].waiting = []
            nodes[node].busyUntil = 0
            nodes[node].boot += 1
            after(random.below(300), .boot(node, nodes[node].boot))
            after(Self.healing - now, .boot(node, -1))
        }
    }

    /// The leader removes what is old.
    private mutating func trim(_ node: Int) {
        guard nodes[node].isRunning, let replica = nodes[node].replica, replica.leadingEpoch != nil else { return }
        let start = Int(nodes[node].log.start)
        let limit = Int(replica.highWatermark)
        guard limit > start else { return }
        let new = start + random.below(limit - start)
        nodes[node].log.start = Int64(new)
        handle(.trimmed(start: Int64(new)), at: node)
    }

    // MARK: Mistakes

    func tampered(_ message: ReplicaMessage, to node: Int) -> ReplicaMessage {
        guard setting.mistake == .ignoresEpochs, case .fetch(var fetch) = message,
            let log = nodes[node].replica?.log, fetch.offset <= log.end, fetch.offset > log.start
        else { return message }
        fetch.lastEpoch = log.epochs.last(before: fetch.offset)
        return .fetch(fetch)
    }

    func tampered(_ change: InSyncChange) -> InSyncChange {
        guard setting.mistake == .ignoresLives else { return change }
        var change = change
        for index in change.additions.indices {
            change.additions[index].life = controller.nodes[change.additions[index].node].life
        }
        return change
    }

    func tampered(_ leadership: Leadership) -> Leadership {
        guard setting.mistake == .ignoresMinimum else { return leadership }
        var leadership = leadership
        leadership.minimum = 1
        return leadership
    }

    /// As if all followers had what the leader has.
    mutating func forgeFetches(of node: Int) {
        guard let replica = nodes[node].replica, let epoch = replica.leadingEpoch else { return }
        for other in nodes.indices where other != node {
            let fetch = ReplicaMessage.Fetch(
                epoch: epoch,
                life: controller.nodes[other].life,
                offset: replica.log.end,
                lastEpoch: replica.log.epochs.last(before: replica.log.end)
            )
            handle(.received(.fetch(fetch), from: other), at: node)
        }
    }

    /// As if the follower had what it is about to write.
    mutating func tellAhead(_ answer: ReplicaMessage.Records, _ count: Int, by node: Int) {
        guard let replica = nodes[node].replica, let leader = replica.leadership.leader, count > 0 else { return }
        let end = answer.from + Int64(count)
        let fetch = ReplicaMessage.Fetch(
            epoch: answer.epoch,
            life: replica.life,
            offset: end,
            lastEpoch: answer.epochs.last(before: end)
        )
        post(.message(.fetch(fetch), [], from: node, to: leader), from: node, to: leader)
    }
}
