/// What ``HistoryChecker`` found in a history.
public struct HistoryReport: Hashable, Sendable, CustomStringConvertible {
    /// How many messages had which fate. A message that was sent several times counts once, by its best outcome.
    public struct Counts: Hashable, Sendable {
        /// Messages of which a send returned normally.
        public var sentOK = 0
        /// Messages whose sends all failed for sure.
        public var sentFailed = 0
        /// Messages of which it is not known whether a send came through, or whose send never returned.
        public var sentUnknown = 0
        /// Of ``sentOK``: with an effect.
        public var okWithEffect = 0
        /// Of ``sentOK``: dead-lettered, without an effect.
        public var okDeadLettered = 0
        /// Of ``sentOK``: neither; findings say which of them are lost.
        public var okWithNeither = 0
        /// Of ``okWithNeither``: removed from the log, or passed over by an operator. No finding.
        public var okGivenUp = 0
        /// Of ``sentUnknown``: with an effect or dead letter. The send came through.
        public var unknownWithEffect = 0
        /// Of ``sentUnknown``: with neither. Never a lost effect.
        public var unknownWithNeither = 0
        /// Of ``sentFailed``: with an effect or dead letter all the same.
        public var failedWithEffect = 0
        /// Messages with an effect, whoever sent them.
        public var withEffect = 0
        /// Messages with a dead letter that was not replayed.
        public var deadLettered = 0
        /// Deliveries.
        public var delivered = 0
        /// Deliveries of a message that had been delivered before.
        public var redelivered = 0
        /// Effects, repeats included.
        public var effects = 0
        /// Effects and dead letters that repeat one outside of the window. No finding.
        public var repeatedOutsideWindow = 0
        /// Effects that repeat one from before an operator's seek or a replay. No finding.
        public var reprocessed = 0
        /// Messages called done because their effect was there.
        public var skipped = 0
        /// Accepted commits.
        public var committed = 0
        /// Accepted acks.
        public var acked = 0
    }

    /// The findings, by kind and then as they were found: of each kind the first few, as the check was asked.
    public let findings: [Finding]
    /// How many findings there are of each kind, unlisted ones included; in the order of the kinds, none left out.
    public let totals: [Total]
    /// The fates of the messages.
    public let counts: Counts
    /// How many events were checked.
    public let events: Int
    /// Events that the history had no room for.
    public let droppedEvents: Int
    /// Whether the history ends drained. If not, nothing is reported as lost or stuck.
    public let isDrained: Bool

    /// How many findings there are of a kind.
    public struct Total: Hashable, Sendable {
        /// The kind.
        public let kind: Finding.Kind
        /// How many.
        public let count: Int
    }

    /// Nothing was found, and nothing is missing from the history.
    public var isSound: Bool { droppedEvents == 0 && totals.allSatisfy { $0.count == 0 } }

    /// How many findings of `kind` there are.
    public func count(of kind: Finding.Kind) -> Int { totals[Int(kind.rawValue)].count }

    /// The findings' kinds, each once.
    public var kinds: [Finding.Kind] { totals.filter { $0.count > 0 }.map(\.kind) }

    /// Several lines: what was found, and the table of counts.
    public var description: String {
        var lines = ["\(events) events, \(isDrained ? "drained" : "not drained: nothing is called lost or stuck")"]
        if droppedEvents > 0 { lines.append("\(droppedEvents) events had no room: raise the history's maximumEvents") }
        for total in totals where total.count > 0 { lines.append("\(total.kind): \(total.count)") }
        lines += findings.map { "  \($0)" }
        lines += counts.rows.map { "\($0.name): \($0.count)" }
        return lines.joined(separator: "\n")
    }
}

extension HistoryReport.Counts {
    /// The table, row by row.
    public var rows: [(name: String, count: Int)] {
        [
            ("sent ok", sentOK), ("  with effect", okWithEffect), ("  dead-lettered", okDeadLettered),
            ("  with neither", okWithNeither), ("    given up", okGivenUp),
            ("sent unknown", sentUnknown), ("  with effect or dead letter", unknownWithEffect),
            ("  with neither", unknownWithNeither),
            ("sent failed", sentFailed), ("  with effect or dead letter", failedWithEffect),
            ("messages with effect", withEffect), ("messages dead-lettered", deadLettered),
            ("delivered", delivered), ("redelivered", redelivered), ("effects", effects),
            ("repeated outside the window", repeatedOutsideWindow), ("reprocessed", reprocessed),
            ("skipped", skipped), ("committed", committed), ("acked", acked),
        ]
    }
}
