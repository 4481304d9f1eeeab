import Seeds

@testable import RatchetBroker

/// What is decided, on its way to partitions that refuse, do not answer and lose what was not confirmed, with crashes
/// in between; and what must hold of it.
struct RedoModel {
    typealias Lanes = RedoLanes<ClosedRange<Int32>>

    /// A partition's log: what is in it, as a leader that serves now has it.
    private struct Log {
        var entries: [(key: RedoKey, stamp: ProducerStamp)] = []
        /// How much of it all in-sync replicas have.
        var confirmed = 0

        var sequences: ProducerSequences {
            var sequences = ProducerSequences()
            for (offset, entry) in entries.enumerated() { sequences.record(entry.stamp, at: Int64(offset), now: 0) }
            return sequences
        }

        mutating func confirm() { confirmed = entries.count }

        mutating func lose(_ count: Int) { entries.removeLast(min(count, entries.count - confirmed)) }

        mutating func append(_ parts: [Lanes.Part]) {
            var sequences = sequences
            for part in parts {
                let stamp = ProducerStamp(decision: part.key.number, sequences: part.content)
                guard sequences.verdict(on: stamp) == .append else { continue }
                sequences.record(stamp, at: Int64(entries.count), now: 0)
                entries.append((part.key, stamp))
            }
        }
    }

    /// What must be found.
    enum Mistake: CaseIterable {
        /// What was refused counts as there.
        case confirmsUnwritten
        /// Rows go before the partitions have what they hold.
        case removesRowsEarly
        /// After a crash decisions are numbered as before it.
        case numbersAnew
        /// What was decided last goes first after a crash.
        case reversesRows
    }

    private static let uids: [UInt32] = [1, 2, 3]

    private let mistake: Mistake?
    private var random: SeededRandom
    private let firstNumber: Int64
    private var number: Int64
    private var lanes = Lanes()
    private var logs = Dictionary(uniqueKeysWithValues: RedoModel.uids.map { ($0, Log()) })
    private var deleted: Set<UInt32> = []
    /// As they are on the disk, by rising keys.
    private var rows: [Lanes.Part] = []
    private var underWay: [(uid: UInt32, parts: [Lanes.Part])] = []
    private var decided: [Lanes.Part] = []
    private var idle: Set<Int64> = []
    private(set) var crashes = 0
    private(set) var repeats = 0
    private(set) var findings: [String] = []

    /// Numbers begin where one internal producer ends and the next one begins.
    init(_ seed: Seed, _ mistake: Mistake? = nil) {
        self.mistake = mistake
        random = seed.random
        firstNumber = (1 << 30) - 20
        number = firstNumber
    }

    mutating func run(_ steps: Int) {
        for _ in 0..<steps { step() }
        while !lanes.isEmpty {
            perform(lanes.handle(.retryAll))
            while !underWay.isEmpty { answer(isHealed: true) }
        }
        check()
    }

    private mutating func step() {
        switch random.below(100) {
        case 0..<30: decide()
        case 30..<75: if !underWay.isEmpty { answer() }
        case 75..<85: perform(lanes.handle(.retry(uid: Self.uids[random.below(3)])))
        case 85..<93: perform(lanes.handle(.retryAll))
        case 93..<98: crash()
        default: if random.chance(5) { deleted.insert(Self.uids[random.below(3)]) }
        }
    }

    private mutating func decide() {
        let owner: Int64? = random.chance(70) ? Int64(random.below(3)) : nil
        var parts: [Lanes.Part] = []
        for uid in Self.uids where !deleted.contains(uid) && random.chance(60) {
            var first: Int32 = 0
            for _ in 0...random.below(3) {
                let last = first + Int32(random.below(4))
                let key = RedoKey(number, UInt32(parts.count))
                // Some too large for one request with others.
                let bytes = random.chance(20) ? Lanes.maximumBytes : 100
                parts.append(.init(key: key, uid: uid, owner: owner, bytes: bytes, content: first...last))
                first = last + 1
            }
        }
        number += 1
        guard !parts.isEmpty else { return }
        if let owner { idle.remove(owner) }
        decided += parts
        if mistake != .removesRowsEarly { rows += parts }
        perform(lanes.handle(.decided(parts)))
    }

    private mutating func perform(_ actions: [Lanes.Action]) {
        for action in actions {
            switch action {
            case .append(let uid, let parts):
                if underWay.contains(where: { $0.uid == uid }) { findings.append("two requests at once to \(uid)") }
                if parts.reduce(0, { $0 + $1.bytes }) > Lanes.maximumBytes, parts.count > 1 {
                    findings.append("too much at once")
                }
                underWay.append((uid, parts))
            case .settled(let parts):
                let keys = Set(parts.map(\.key))
                // Removing a row may come too late.
                if !random.chance(20) { rows.removeAll { keys.contains($0.key) } }
            case .idle(let owner): idle.insert(owner)
            case .stuck: break
            }
        }
    }

    private mutating func answer(isHealed: Bool = false) {
        let (uid, parts) = underWay.remove(at: random.below(underWay.count))
        guard !deleted.contains(uid) else { return perform(lanes.handle(.answered(uid: uid, .isGone))) }
        let fate = isHealed ? 99 : random.below(100)
        guard fate >= 30 else {
            let answer: Lanes.Answer = mistake == .confirmsUnwritten ? .isThere : .failed
            return perform(lanes.handle(.answered(uid: uid, answer)))
        }
        let before = logs[uid]?.entries.count ?? 0
        logs[uid]?.append(parts)
        let appended = (logs[uid]?.entries.count ?? 0) - before
        repeats += parts.count - appended
        if fate < 60 {
            // Not confirmed, and a new leader may not have it.
            let lost = random.chance(50) ? random.below(appended + 1) : 0
            logs[uid]?.lose(lost)
            return perform(lanes.handle(.answered(uid: uid, .failed)))
        }
        logs[uid]?.confirm()
        perform(lanes.handle(.answered(uid: uid, .isThere)))
    }

    private mutating func crash() {
        crashes += 1
        for (uid, parts) in underWay where random.chance(50) && !deleted.contains(uid) { logs[uid]?.append(parts) }
        underWay = []
        lanes = Lanes()
        rows.removeAll { deleted.contains($0.uid) }
        idle = idle.union(decided.compactMap(\.owner)).subtracting(rows.compactMap(\.owner))
        if mistake == .numbersAnew { number = firstNumber }
        perform(lanes.handle(.decided(mistake == .reversesRows ? rows.reversed() : rows)))
    }

    private mutating func check() {
        for uid in Self.uids where !deleted.contains(uid) {
            let found = logs[uid]?.entries.map(\.key) ?? []
            let expected = decided.filter { $0.uid == uid }.map(\.key)
            if found != expected {
                findings.append("partition \(uid): \(found.count) of \(expected.count), or not in order")
            }
        }
        let owners = Set(decided.compactMap(\.owner))
        if idle != owners { findings.append("\(owners.subtracting(idle)) wait for ever") }
        for owner in owners where lanes.has(owner: owner) { findings.append("\(owner) has something left") }
    }
}
