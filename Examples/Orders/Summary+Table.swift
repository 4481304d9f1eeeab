import Ratchet

extension Summary {
    /// The summary for people.
    func table(_ state: StateFolder) -> String {
        var lines = ["", row("", "this run", "in all")]
        lines.append(row("published", Text.grouped(progress.published), Text.grouped(published)))
        for (name, field) in [
            ("processed", \.processed), ("duplicates", \.duplicates), ("redelivered", \.redelivered),
            ("dead letters", \.deadLettered),
        ] as [(String, KeyPath<LedgerTotals, Int>)] {
            lines.append(row(name, totals[keyPath: field] - before[keyPath: field], totals[keyPath: field]))
        }
        lines.append(row("receipts", Text.grouped(totals.published - before.published), Text.grouped(receipts)))
        lines.append("")
        lines.append("  \(Text.grouped(customers)) customers have spent \(Text.dollars(totalCents)).")
        lines.append("  \(speed)")
        lines += remarks(state).map { "  \($0)" }
        return lines.joined(separator: "\n") + "\n\n"
    }

    private var speed: String {
        let rate = Text.grouped(Int(Double(progress.published) / max(seconds, 0.001)))
        return
            "\(Text.grouped(progress.published)) messages in \(Text.decimal(seconds, 2)) s: \(rate) a second, durable."
    }

    private func remarks(_ state: StateFolder) -> [String] {
        var remarks: [String] = []
        let changes = totals.processed - before.processed + totals.deadLettered - before.deadLettered
        if progress.isComplete, changes == 0, published > 0 {
            remarks.append("Nothing changed, 0 new effects: all of it had been processed before.")
        }
        if totals.conflicts > before.conflicts {
            let count = Text.grouped(totals.conflicts - before.conflicts)
            remarks.append("\(count) duplicates had another content than the first of their id, which counts.")
        }
        if totals.deadLettered > 0, !state.isTemporary {
            remarks.append("See what could not be processed: orders dead-letters --state \(state.path)")
        }
        return remarks
    }

    private func row(_ name: String, _ now: Int, _ all: Int) -> String {
        row(name, Text.grouped(now), Text.grouped(all))
    }

    private func row(_ name: String, _ now: String, _ all: String) -> String {
        "  " + name.padded(14, onTheLeft: false) + now.padded(14) + all.padded(14)
    }
}

extension String {
    fileprivate func padded(_ width: Int, onTheLeft: Bool = true) -> String {
        let spaces = String(repeating: " ", count: max(0, width - count))
        return onTheLeft ? spaces + self : self + spaces
    }
}
