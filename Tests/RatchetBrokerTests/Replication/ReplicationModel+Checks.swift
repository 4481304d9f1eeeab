@testable import RatchetBroker

extension ReplicationModel {
    mutating func found(_ what: String) { findings.append("at \(now) ms: \(what)") }

    /// A node takes itself for the leader.
    mutating func leads(_ epoch: Int32, _ node: Int) {
        if let other = leaders[epoch], other != (node, nodes[node].boot) {
            found("nodes \(other.node) and \(node) both lead in epoch \(epoch)")
        }
        leaders[epoch] = (node, nodes[node].boot)
        guard setting.keepsEverything else { return }
        let records = nodes[node].records
        guard records.count >= visible.count else {
            return found("leader \(node) of epoch \(epoch) has \(records.count) records of \(visible.count) visible")
        }
        checkVisible(at: node, to: visible.count)
        let start = Int(nodes[node].log.start)
        // Any order: each is checked.
        for (offset, record) in confirmed where offset >= start && records[offset] != record {
            found("leader \(node) of epoch \(epoch) has \(records[offset]) at \(offset), confirmed was \(record)")
        }
    }

    /// A leader shows its log up to `end`, and confirms it.
    mutating func advanced(_ end: Int, at node: Int) {
        guard end <= nodes[node].records.count else {
            return found("leader \(node) shows \(end) of \(nodes[node].records.count) records")
        }
        if setting.keepsEverything { checkVisible(at: node, to: min(end, visible.count)) }
        if end > visible.count { visible += nodes[node].records[visible.count..<end] }
        let done = nodes[node].waiting.filter { $0.end <= end }
        nodes[node].waiting.removeAll { $0.end <= end }
        for waiting in done {
            confirmed[waiting.end - 1] = waiting.record
            lastConfirmed = now
            if setting.keepsEverything, visible[waiting.end - 1] != waiting.record {
                found("\(waiting.record) is confirmed, visible is \(visible[waiting.end - 1])")
            }
        }
    }

    private mutating func checkVisible(at node: Int, to end: Int) {
        for offset in min(Int(nodes[node].log.start), end)..<end
        where nodes[node].records[offset] != visible[offset] && visible[offset] != .hole {
            return found("node \(node) has \(nodes[node].records[offset]) at \(offset), seen was \(visible[offset])")
        }
    }

    /// Everything has long been healed.
    mutating func checkEnd() {
        guard let leadership = controller[Self.uid] else { return found("the partition is gone") }
        guard let leader = leadership.leader else {
            if setting.keepsEverything { found("nobody leads: \(leadership)") }
            return
        }
        if leadership.inSync.count != nodes.count { found("not all are in sync: \(leadership)") }
        if lastConfirmed < Self.end - 1500 { found("the last confirmation was at \(lastConfirmed)") }
        let records = nodes[leader].records
        for node in nodes.indices {
            checkAgreement(of: node, with: leader)
            checkEpochs(of: node)
        }
        guard setting.keepsEverything else { return }
        if Int(nodes[leader].replica?.highWatermark ?? 0) < visible.count { found("the high watermark is behind") }
        let start = Int(nodes[leader].log.start)
        // Any order: each is checked.
        for (offset, record) in confirmed
        where offset >= start && (offset >= records.count || records[offset] != record) {
            found("\(record) at \(offset) was confirmed and is lost")
        }
    }

    private mutating func checkAgreement(of node: Int, with leader: Int) {
        let (own, leaders) = (nodes[node].records, nodes[leader].records)
        let start = Int(max(nodes[node].log.start, nodes[leader].log.start))
        guard own.count == leaders.count else {
            return found("node \(node) has \(own.count) records, leader \(leader) \(leaders.count)")
        }
        if own[start...] != leaders[start...] { found("nodes \(node) and \(leader) differ") }
    }

    private mutating func checkEpochs(of node: Int) {
        let log = nodes[node].log
        var derived = LeaderEpochs()
        for (offset, record) in nodes[node].records.enumerated() where record != .hole {
            if derived.entries.last?.epoch != record.epoch { derived.begin(record.epoch, at: Int64(offset)) }
        }
        let known = log.epochs.covering(log.start, log.end).map(\.epoch)
        if derived.covering(log.start, log.end).map(\.epoch) != known {
            found("node \(node) knows the epochs \(log.epochs), its records are of \(derived)")
        }
    }
}
