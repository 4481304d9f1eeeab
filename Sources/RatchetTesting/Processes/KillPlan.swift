import Ratchet

/// When a program under test is to die next: decided by a seed, and by how its last runs ended.
struct KillPlan: Sendable {
    struct Attempt: Hashable, Sendable {
        /// It is killed after this time at the latest.
        let limit: Duration
        /// Where it is to die by itself, nil to be killed at the limit.
        let point: String?
        let variables: [String: String]
    }

    private let kills: Int
    private let points: [String]
    private let maximumVisits: Int
    private let longest: Int64
    private var random: SeededGenerator
    /// Kills come within it, in nanoseconds.
    private var window: Int64
    private var deaths = 0
    private(set) var runs = 0

    init(_ test: CrashTest) {
        kills = test.kills
        points = test.points
        maximumVisits = test.maximumVisits
        longest = max(1, test.longestRun.nanoseconds)
        random = SeededGenerator(seed: test.seed)
        window = min(longest, 100_000_000)
    }

    /// The next one, nil when there were enough deaths, or too many runs that ended by themselves.
    mutating func next() -> Attempt? {
        guard deaths < kills, runs < 3 * kills + 5 else { return nil }
        runs += 1
        guard !points.isEmpty, runs % 2 == 0 else {
            let moment = Int64(random.next(below: UInt64(window)))
            return Attempt(limit: .nanoseconds(moment), point: nil, variables: [:])
        }
        let point = "\(points[random.next(in: 0..<points.count)]):\(random.next(in: 1..<maximumVisits + 1))"
        return Attempt(limit: .nanoseconds(longest), point: point, variables: ["RATCHET_CRASH_AT": point])
    }

    /// It died: the next one may live longer.
    mutating func killed() {
        deaths += 1
        window = min(longest, window + window / 3 + 1)
    }

    /// It ended before it could be killed.
    mutating func ended(after time: Duration) { window = min(longest, max(1, time.nanoseconds)) }
}
