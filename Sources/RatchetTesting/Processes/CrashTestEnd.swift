/// What a program under test has come to: it died, and then ran to its end.
public struct CrashTestEnd: Hashable, Sendable {
    /// One death.
    public struct Death: Hashable, Sendable {
        /// Of which run, from 1.
        public let run: Int
        /// How long after its start.
        public let time: Duration
        /// At which place, as `name:visit`; nil for a kill at a moment.
        public let point: String?
    }

    /// The seed of the test.
    public let seed: UInt64
    /// How it died, in order.
    public let deaths: [Death]
    /// How many runs there were, those that ended by themselves and the last one included.
    public let runs: Int
    /// What the last run wrote to its standard output: the beginning, see ``CrashTest/maximumOutput``.
    public let output: String
    /// How many bytes it wrote after that.
    public let droppedOutput: Int
    /// How long the last run took.
    public let time: Duration

    /// How often each message had its effect, by the ``EffectFile`` at `path` that the program wrote. The last line that
    /// a writer has begun and could not finish counts for nothing.
    ///
    /// Throws ``HistoryError``: `damaged` for any other line that is not what was written, `file` when it cannot be read
    /// or holds more effects than a ``History``.
    public func effects(in path: String) throws(HistoryError) -> [String: Int] {
        var history = History()
        let reading = try EffectFile.read(path, into: &history)
        guard reading.damaged == reading.torn else {
            let first = reading.damage.first { $0.reason != .torn }
            let place = first.map { "; the first of \($0.length) bytes at byte \($0.position): \($0.reason)" } ?? ""
            throw HistoryError(.damaged, "\(path) has \(reading.damaged - reading.torn) damaged lines\(place)")
        }
        guard history.droppedEvents == 0 else {
            let limit = history.maximumEvents
            throw HistoryError(.file, "\(path) has \(reading.effects) effects, at most \(limit) are read")
        }
        var counts: [String: Int] = [:]
        for event in history.events { counts[history.name(of: event.message), default: 0] += 1 }
        return counts
    }
}

/// Why a crash test failed.
public struct CrashTestError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// A setting is out of its bounds.
        public static let invalid = Code(description: "invalid setting")
        /// The program could not be started.
        public static let cannotStart = Code(description: "cannot start")
        /// A run that nobody killed ended with another exit code than 0, or by a signal.
        public static let failed = Code(description: "failed")
        /// A run was not at its end after ``CrashTest/longestRun``.
        public static let tookTooLong = Code(description: "took too long")
        /// Most runs end before they can be killed.
        public static let tooFewKills = Code(description: "too few kills")
        /// The program never died at one of the named places.
        public static let pointsNotReached = Code(description: "points not reached")
        /// The check at the end threw.
        public static let checkFailed = Code(description: "check failed")
        /// The task was cancelled.
        public static let cancelled = Code(description: "cancelled")
    }

    /// The kind of failure.
    public let code: Code
    /// What was wrong, in which run, and what the program said.
    public let detail: String
    /// The seed of the test.
    public let seed: UInt64
    /// What the check threw, nil for other failures.
    public let cause: (any Error)?

    init(_ code: Code, _ detail: String, seed: UInt64, cause: (any Error)? = nil) {
        self.code = code
        self.detail = detail
        self.seed = seed
        self.cause = cause
    }

    /// `code: detail; seed n`.
    public var description: String { "\(code): \(detail); seed \(seed)" }
}
