/// Something that goes wrong in a simulation.
public struct SimulatedFault: Hashable, Sendable, CustomStringConvertible {
    /// What goes wrong.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The process of the pipelines and their ledger dies: what was committed stays. It comes back afterwards.
        case crashProcess
        /// The broker dies: what was committed stays. It comes back afterwards.
        case crashBroker
        /// One pipeline's connection is cut: its calls hang, and to the broker it is silent.
        case cutOff
        /// One pipeline's calls take up to a second each.
        case slowNetwork
        /// One pipeline's calls to the broker are carried out or not, and fail either way.
        case loseAnswers
        /// One pipeline's commits are refused, or delivered twice and late.
        case badCommits
        /// The process stands still and goes on later, as by SIGSTOP and SIGCONT.
        case freezeProcess
        /// The process's wall clock leaps by up to a day, either way.
        case leapClock
        /// One pipeline leaves the group in good order, and comes back afterwards.
        case leaveGroup
        /// Handlers fail, or take long.
        case badHandlers
        /// Async handlers hang for half a minute, and then fail; some of them even when they are cancelled.
        case hangHandlers
        /// The sink and the producers' sends fail, or succeed and say that they failed.
        case badSends
        /// Commits, partitions that are given back, and sends arrive once more, up to three seconds later: behind what
        /// was called after them.
        case duplicatePackets
        /// One pipeline's calls and their answers overtake each other, or are made again on a new connection.
        case reorderPackets
        /// An operator stops the pipelines and sets the group's offset of a partition, back or forward. The partition
        /// stands still until the operator has it resumed, or processed again.
        case resetOffset
        /// The topic is deleted, and made anew under the same name afterwards: with another id, and offsets from 0.
        case makeTopicAnew
        /// A commit of the ledger fails, whether it has reached the file or not. The pipelines end, and a new process
        /// takes over afterwards.
        case failLedgerCommit

        /// All that happens without an operator. One who resets offsets may ask for effects once more.
        public static let withoutOperator = allCases.filter { $0 != .resetOffset && $0 != .makeTopicAnew }

        var hitsOnePipeline: Bool {
            switch self {
            case .cutOff, .slowNetwork, .loseAnswers, .badCommits, .leaveGroup, .badHandlers, .hangHandlers,
                .reorderPackets:
                true
            case .crashProcess, .crashBroker, .freezeProcess, .leapClock, .badSends, .duplicatePackets, .resetOffset,
                .makeTopicAnew, .failLedgerCommit:
                false
            }
        }
    }

    /// What goes wrong.
    public var kind: Kind
    /// When, in milliseconds of simulated time.
    public var time: Int
    /// For how long, in milliseconds.
    public var duration: Int
    /// Which pipeline it hits, where it hits one.
    public var member: Int

    /// `1200 ms: cutOff of pipeline 1 for 800 ms`, or `1200 ms: crashProcess for 800 ms`.
    public var description: String {
        let whose = kind.hitsOnePipeline ? " of pipeline \(member)" : ""
        return "\(time) ms: \(kind.rawValue)\(whose) for \(duration) ms"
    }

    /// The faults of a seed: up to `count` of them, in the order of their times.
    static func plan(seed: UInt64, count: Int, of kinds: [Kind], members: Int, until end: Int) -> [SimulatedFault] {
        if kinds.isEmpty { return [] }
        var random = SeededGenerator(seed: seed, purpose: 1)
        let others = kinds.filter { $0 != .failLedgerCommit }
        let drawn = others.isEmpty ? kinds : others
        var faults = (0..<random.next(in: 0..<count + 1)).map { _ in
            one(of: drawn, members: members, until: end, &random)
        }
        // By draws of its own: the schedules of seeds that were noted before there was this kind stay as they are.
        var own = SeededGenerator(seed: seed, purpose: 13)
        if drawn.count < kinds.count, faults.count < count, own.chance(failingCommits) {
            faults.append(one(of: [.failLedgerCommit], members: members, until: end, &own))
        }
        return faults.sorted {
            ($0.time, $0.duration, $0.member, $0.kind.rawValue) < ($1.time, $1.duration, $1.member, $1.kind.rawValue)
        }
    }

    /// In how many of a hundred runs with other faults a commit of the ledger fails.
    private static let failingCommits = 20

    private static func one(
        of kinds: [Kind],
        members: Int,
        until end: Int,
        _ random: inout SeededGenerator
    ) -> SimulatedFault {
        SimulatedFault(
            kind: kinds[random.next(in: 0..<kinds.count)],
            time: random.next(in: 0..<end),
            duration: random.chance(30) ? random.next(in: 1..<500) : random.next(in: 500..<12_000),
            member: random.next(in: 0..<members)
        )
    }
}
