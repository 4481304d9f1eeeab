extension HandlerOutcome: CustomStringConvertible {
    /// One line; ``story`` has more.
    public var description: String {
        isSound ? headline : "\(headline); findings: \(findings.count), problems: \(problems.count); see its story"
    }

    /// How many messages a story follows, and how many lines its account has at the most.
    private static let (followed, longest) = (3, 80)

    /// What happened, to be read: what was found, the account of the messages that are concerned and of the faults, in
    /// the order of time, why (where that can be known), and how to repeat it. At most three messages are followed.
    public var story: String {
        var lines = [headline]
        guard !isSound else {
            return lines[0] + "\(counts.rows.map { "\n  \($0.name): \($0.count)" }.joined())"
        }
        // Three times is two findings, and one sentence.
        var sentences: [String] = []
        for finding in findings {
            let sentence = sentence(finding)
            if !sentences.contains(sentence) { sentences.append(sentence) }
        }
        lines += sentences.prefix(10)
        if sentences.count > 10 { lines.append("… and \(sentences.count - 10) more") }
        lines += problems.prefix(10).map { "Wrong: \($0)" }
        let account = StoryAccount(history: history, faults: faults, messages: messagesConcerned).lines
        lines += account.prefix(Self.longest).map { $0 }
        if account.count > Self.longest { lines.append("… and \(account.count - Self.longest) lines more") }
        lines += why.map { ["Why: \($0)"] } ?? []
        lines.append("Again: seed \(seed), with the same handler, messages and settings")
        return lines.joined(separator: "\n")
    }

    private var headline: String {
        if isSound { return "seed \(seed): nothing found" }
        let left = faults.count == plannedFaults ? "" : " (of \(plannedFaults), the others are not needed)"
        let number = faults.count == 1 ? "1 fault" : "\(faults.count) faults"
        let list = faults.isEmpty ? "" : ": " + faults.map(\.description).joined(separator: "; ")
        return "seed \(seed), \(number)\(left)\(list)"
    }

    private func sentence(_ finding: SimulatedFinding) -> String {
        let names = finding.effects.map { "\"\($0)\"" }.joined(separator: " and ")
        guard let message = finding.messages.first else { return "\(finding.kind): \(finding.description)" }
        switch finding.kind {
        case .duplicateEffect: return "Twice: \(message) had \(names) \(count(finding, message)) times"
        case .lostEffect: return "Lost: \(message) was sent, and never had \(names)"
        case .deadLetteredAndEffected: return "Both: \(message) had \(names) and is a dead letter"
        default: return "Wrong: \(finding.description)"
        }
    }

    private func count(_ finding: SimulatedFinding, _ message: String) -> Int {
        history.events.count { event in
            event.kind == .effect && history.name(of: event.message) == message
                && history.effectName(of: event).map { finding.effects.contains($0.text) } == true
        }
    }

    private var messagesConcerned: [MessageID] {
        var messages: [MessageID] = []
        for index in findings.flatMap(\.events) where history.events[index].message != .none {
            let message = history.events[index].message
            if !messages.contains(message) { messages.append(message) }
        }
        return Array(messages.prefix(Self.followed))
    }

    /// Why an effect outside happened twice, where the account shows it.
    private var why: String? {
        for finding in findings where finding.kind == .duplicateEffect && finding.events.count == 2 {
            let (first, second) = (finding.events[0], finding.events[1])
            let event = history.events[first]
            guard let name = history.effectName(of: event), name.isOutside else { continue }
            let outside = "\"\(name.text)\" happens outside of the ledger"
            let cure =
                "leave it to onCommit or publish, or hand context.idempotencyKey to a service that knows such keys"
            let between = event.time...history.events[second].time
            if faults.contains(where: { $0.kind == .crashProcess && between.contains(Int64($0.time) * 1_000_000) }) {
                return "\(outside), and the process died after it and before the ledger held that "
                    + "\(history.name(of: event.message)) is done: so its handler ran again. What helps: \(cure)."
            }
            if history.events[first...second].contains(where: { $0.kind == .failed && $0.message == event.message }) {
                return "\(outside), and the attempt failed after it: so the handler ran again. What helps: \(cure)."
            }
        }
        return nil
    }
}
