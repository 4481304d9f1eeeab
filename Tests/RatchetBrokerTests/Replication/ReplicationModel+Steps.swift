import Seeds

@testable import RatchetBroker

extension ReplicationModel {
    mutating func take(_ step: Step) {
        switch step {
        case .message(let message, let records, let from, let to):
            guard isReachable(to), !nodes[from].isCutOff else { return }
            handle(.received(tampered(message, to: to), from: from), at: to, carrying: records)
        case .tell(let node, let life, let leadership):
            guard isReachable(node), nodes[node].replica?.life == life else { return }
            handle(.told(leadership), at: node)
        case .refuse(let node, let number):
            guard isReachable(node) else { return }
            handle(.refused(number: number), at: node)
        case .ask(let change):
            guard isReachable(change.leader) else { return }
            perform(controller.handle(.change(Self.uid, tampered(change))))
        case .commit(let node, let boot, let write):
            if nodes[node].isRunning, nodes[node].boot == boot { commit(write, at: node) }
        case .written(let node, let boot, let write, let log):
            if nodes[node].isRunning, nodes[node].boot == boot { written(write, log, at: node) }
        case .sync(let node): nodes[node].synced = nodes[node].records.count
        case .tick(let node):
            after(150 + random.below(150), step)
            if nodes[node].isRunning { handle(.tick, at: node) }
        case .heartbeat:
            after(200, step)
            heartbeat()
        case .send:
            after(10 + random.below(isHealed ? 200 : 60), step)
            if now < Self.end - 300 { send() }
        case .fault:
            guard !isHealed else { return }
            after(30 + random.below(300), step)
            fault()
        case .noticed(let node, let life):
            // One that was cut off may be heard again.
            guard !isReachable(node) || nodes[node].replica?.life != life else { return }
            perform(controller.handle(.down(node, life: life)))
        case .boot(let node, let boot):
            if !nodes[node].isRunning, boot < 0 || nodes[node].boot == boot { start(node) }
        case .reconnect(let node): reconnect(node)
        case .quicken(let node): nodes[node].isSlow = false
        }
    }

    mutating func handle(_ event: Replica.Event, at node: Int, carrying records: [Record] = []) {
        guard case let now = time, let actions = nodes[node].replica?.handle(event, now: now) else { return }
        for action in actions { perform(action, at: node, records) }
    }

    private mutating func perform(_ action: Replica.Action, at node: Int, _ records: [Record]) {
        switch action {
        case .send(let message, let to):
            var records: [Record] = []
            if case .records(let answer) = message {
                // What is there by then: some of it, if it is much.
                let end = min(Int(answer.end), Int(answer.from) + 1 + random.below(20))
                records = Array(nodes[node].records[Int(answer.from)..<end])
            }
            post(.message(message, records, from: node, to: to), from: node, to: to)
        case .ask(let change): post(.ask(change), from: node, to: -1)
        case .truncate(let end): write(.truncate(Int(end)), at: node)
        case .restart(let start): write(.restart(Int(start)), at: node)
        case .copy(let answer): write(.copy(answer, records), at: node)
        case .leads(let epoch): leads(epoch, node)
        case .follows: nodes[node].waiting = []
        case .advanced(let end): advanced(Int(end), at: node)
        }
    }

    mutating func perform(_ actions: [Controller.Action]) {
        for action in actions {
            switch action {
            case .persist(_, let leadership): persisted = leadership
            case .persistNode: break
            case .tell(let node, let life, _, let leadership):
                post(.tell(node, life: life, tampered(leadership)), from: -1, to: node)
            case .refuse(let node, _, let number): post(.refuse(node, number), from: -1, to: node)
            }
        }
        for node in nodes.indices where controller[Self.uid]?.inSync.contains(node) ?? false {
            // It has come back to the in-sync set: it has what the others have.
            if nodes[node].isRunning, controller.nodes[node].life == nodes[node].replica?.life {
                nodes[node].hasLost = false
            }
        }
    }

    /// Everybody hears in the end what was decided last.
    private mutating func heartbeat() {
        guard let leadership = controller[Self.uid] else { return }
        for node in nodes.indices where isReachable(node) && controller.nodes[node].isUp {
            post(.tell(node, life: controller.nodes[node].life, tampered(leadership)), from: -1, to: node)
        }
    }

    // MARK: Writing

    /// Some client takes this node for the leader, and the node takes itself for it.
    private mutating func send() {
        let node = isHealed ? controller[Self.uid]?.leader ?? 0 : random.below(nodes.count)
        guard nodes[node].isRunning, let replica = nodes[node].replica, let epoch = replica.leadingEpoch,
            !replica.isBeingReplaced, replica.leadership.isSufficient, nodes[node].busyUntil < now + 400
        else { return }
        lastID += 1
        handle(.writing, at: node)
        write(.append(Record(id: lastID, epoch: epoch)), at: node)
    }

    private mutating func write(_ write: Write, at node: Int) {
        let boot = nodes[node].boot
        guard !setting.confirmsOnReceipt else {
            commit(write, at: node)
            after(random.below(1500), .sync(node))
            return
        }
        let isSlow = nodes[node].isSlow || !isHealed && random.chance(5)
        let duration = random.below(isSlow ? 300 : 10)
        nodes[node].busyUntil = max(now, nodes[node].busyUntil) + duration
        after(nodes[node].busyUntil - now, .commit(node, boot: boot, write))
        if setting.mistake == .confirmsBeforeWriting, case .copy(let answer, let records) = write {
            tellAhead(answer, records.count, by: node)
        }
    }

    /// It is on the disk now, or in memory where that is enough.
    private mutating func commit(_ write: Write, at node: Int) {
        var end = nodes[node].records.count
        switch write {
        case .append(let record):
            nodes[node].records.append(record)
            end += 1
            nodes[node].log.end = Int64(end)
            if let epochs = nodes[node].replica?.log.epochs { nodes[node].log.epochs = epochs }
        case .copy(let answer, let records):
            precondition(Int(answer.from) == end)
            nodes[node].records += records
            end += records.count
            nodes[node].log.append(answer, to: Int64(end))
        case .truncate(let length):
            end = length
            nodes[node].records = Array(nodes[node].records[..<end])
            nodes[node].log.truncate(to: Int64(end))
        case .restart(let start):
            end = start
            nodes[node].records = Array(repeating: .hole, count: end)
            nodes[node].log = Replica.LogState(start: Int64(start), end: Int64(start))
        }
        nodes[node].synced = min(setting.confirmsOnReceipt ? nodes[node].synced : end, end)
        let log = nodes[node].log
        if setting.confirmsOnReceipt {
            written(write, log, at: node)
        } else {
            let boot = nodes[node].boot
            // In order, as the writer is one thread.
            nodes[node].busyUntil = max(now, nodes[node].busyUntil)
            after(0, .written(node, boot: boot, write, log))
        }
    }

    private mutating func written(_ write: Write, _ log: Replica.LogState, at node: Int) {
        if case .append(let record) = write {
            nodes[node].waiting.append(Waiting(record: record, end: Int(log.end)))
        }
        handle(.written(log), at: node)
        if setting.mistake == .countsOnlyLeader { forgeFetches(of: node) }
    }
}
