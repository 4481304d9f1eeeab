/// Checks a history once for each effect, as if there were no other: each of them is to happen once, or where it is not
/// expected of each message, once at the most.
enum EffectCheck {
    struct Checked: Sendable {
        let findings: [SimulatedFinding]
        let counts: HistoryReport.Counts
    }

    /// How many findings of each kind are kept for each effect.
    private static let limit = 20
    /// What is found where a message has no effect.
    private static let missing: [Finding.Kind] = [.lostEffect, .falseSkip, .prematureCommit]

    /// `expected` are those that each message is to have, nil for all that are there.
    static func check(_ history: History, expected: [String]?) -> Checked {
        var seen: [String] = []
        for name in history.effectNames.map(\.text) where !seen.contains(name) { seen.append(name) }
        if seen.isEmpty { seen = ["effect"] }
        var wanted: [String] = []
        for name in expected ?? seen where !wanted.contains(name) { wanted.append(name) }
        var findings: [SimulatedFinding] = []
        var counts: HistoryReport.Counts?
        for name in wanted { counts = check(history, name, isWanted: true, &findings).counts }
        for name in seen where !wanted.contains(name) {
            let report = check(history, name, isWanted: false, &findings)
            counts = counts ?? report.counts
        }
        return Checked(findings: findings.sorted { $0.kind.rawValue < $1.kind.rawValue }, counts: counts ?? .init())
    }

    private static func check(
        _ history: History,
        _ name: String,
        isWanted: Bool,
        _ findings: inout [SimulatedFinding]
    ) -> HistoryReport {
        let kept = history.events.indices.filter { index in
            let event = history.events[index]
            return event.kind != .effect || history.effectName(of: event)?.text == name
        }
        let report = HistoryChecker.check(history.replacingEvents(kept.map { history.events[$0] }), limit: limit)
        for found in report.findings where isWanted || !missing.contains(found.kind) {
            let events = found.events.map { kept[$0] }
            // A late call to a service outside does no harm by being late: what counts is that it is the only one.
            if found.kind == .zombieWrite, events.contains(where: { isOutside(history, $0) }) { continue }
            if let known = findings.firstIndex(where: { $0.kind == found.kind && $0.events == events }) {
                findings[known].effects.append(name)
            } else {
                findings.append(SimulatedFinding(kind: found.kind, effect: name, events: events, in: history))
            }
        }
        return report
    }

    private static func isOutside(_ history: History, _ index: Int) -> Bool {
        history.effectName(of: history.events[index])?.isOutside ?? false
    }
}

/// Something that happened in a simulated run and never may.
public struct SimulatedFinding: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public let kind: Finding.Kind
    /// The effects that it is wrong with.
    public internal(set) var effects: [String]
    /// The messages concerned, by their ids.
    public let messages: [String]
    /// The events concerned, by index in the outcome's history.
    public let events: [Int]
    /// One line: the kind, and the events in readable form.
    public let description: String

    init(kind: Finding.Kind, effect: String, events: [Int], in history: History) {
        self.kind = kind
        self.events = events
        effects = [effect]
        description = Finding(kind: kind, events: events, in: history).description
        var messages: [String] = []
        for index in events where history.events[index].message != .none {
            let name = history.name(of: history.events[index].message)
            if !messages.contains(name) { messages.append(name) }
        }
        self.messages = messages
    }
}
