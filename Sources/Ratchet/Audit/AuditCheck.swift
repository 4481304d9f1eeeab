/// One thing that was looked at, and what it means.
public struct AuditCheck: Sendable, Hashable {
    /// How bad it is.
    public enum Verdict: String, Sendable, Hashable, CaseIterable {
        /// As it should be.
        case pass
        /// Nothing is lost while all goes well, or a later part of the chain makes up for it.
        case warn
        /// Messages can be lost or effects happen twice.
        case fail
        /// It could not be read: not known to be well.
        case unreadable = "could not be read"
    }

    /// What was looked at, such as `producer.acks`.
    public let name: String
    /// What was found, as text.
    public let found: String
    /// What it should be.
    public let expected: String
    /// What can be lost, or happen twice, where it is not; empty where it is.
    public let risk: String
    /// How bad it is.
    public let verdict: Verdict

    /// A check from its parts.
    package init(name: String, found: String, expected: String, risk: String, verdict: Verdict) {
        self.name = name
        self.found = found
        self.expected = expected
        self.risk = risk
        self.verdict = verdict
    }
}

/// All that was looked at in a chain.
public struct AuditReport: Sendable, Hashable, CustomStringConvertible {
    /// In the order in which a message meets them.
    public let checks: [AuditCheck]

    /// A report of checks.
    package init(checks: [AuditCheck]) { self.checks = checks }

    /// The worst of all: fail, then what could not be read, then warn.
    public var verdict: AuditCheck.Verdict {
        for verdict in [AuditCheck.Verdict.fail, .unreadable, .warn]
        where checks.contains(where: { $0.verdict == verdict }) { return verdict }
        return .pass
    }

    /// One line for each check, and a second one that says what can be lost.
    public var description: String {
        let width = checks.map(\.name.count).max() ?? 0
        return checks.map { check in
            let padding = String(repeating: " ", count: width - check.name.count)
            let line = "\(check.verdict.rawValue): \(check.name)\(padding)  \(check.found)"
            return check.verdict == .pass ? line : line + "; should be \(check.expected)\n    \(check.risk)"
        }.joined(separator: "\n")
    }
}
