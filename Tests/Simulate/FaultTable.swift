import RatchetTesting

/// How often each kind of fault took effect, and what was found in runs with it.
struct FaultTable: Sendable {
    struct Row: Sendable {
        var name: String
        var injected = 0
        var lost = 0
        var duplicated = 0
        var findings = 0
    }

    private var kinds: [SimulatedFault.Kind: Row] = [:]
    /// What was found where nothing went wrong.
    private var undisturbed = Row(name: "nothing")

    mutating func note(_ outcome: Simulation.Outcome) {
        let report = outcome.report
        var found = Row(name: "")
        found.lost = report.count(of: .lostEffect) + report.count(of: .falseSkip)
        found.duplicated = report.count(of: .duplicateEffect)
        found.findings = report.totals.reduce(outcome.problems.count - found.lost - found.duplicated) { $0 + $1.count }
        for (kind, count) in outcome.injected where count > 0 {
            kinds[kind, default: Row(name: kind.rawValue)].injected += count
            kinds[kind]?.add(found)
        }
        if outcome.injected.values.allSatisfy({ $0 == 0 }) { undisturbed.add(found) }
    }

    /// In the order of the kinds, each that was to be injected; and what was found without any.
    func rows(of wanted: [SimulatedFault.Kind]) -> [Row] {
        let rows = wanted.map { kinds[$0] ?? Row(name: $0.rawValue) }
        return undisturbed.hasFindings ? rows + [undisturbed] : rows
    }

    /// One object, in a line; with how many seeds were run.
    func json(of wanted: [SimulatedFault.Kind], seeds: Int) -> String {
        let faults = rows(of: wanted).map { row in
            "{\"name\":\"\(row.name)\",\"injected\":\(row.injected),\"lost\":\(row.lost),"
                + "\"duplicated\":\(row.duplicated),\"findings\":\(row.findings)}"
        }
        return "{\"seeds\":\(seeds),\"faults\":[\(faults.joined(separator: ","))]}"
    }
}

extension FaultTable.Row {
    var hasFindings: Bool { lost + duplicated + findings > 0 }

    mutating func add(_ found: FaultTable.Row) {
        lost += found.lost
        duplicated += found.duplicated
        findings += found.findings
    }
}
