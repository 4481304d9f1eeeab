/// Shares partitions out among the members of a group: balanced, and moving as few partitions as that takes.
///
/// Topics and members are numbers here, members in the order in which they joined, so that the outcome depends on
/// nothing else.
struct StickyAssignment {
    /// A partition and the member it is planned for.
    struct Seat: Equatable {
        var topic: Int
        var member: Int?
        /// Whether the member works on it: moving it interrupts somebody.
        var isHeld: Bool
    }

    /// The members that may have the partitions of each topic, in rising order.
    private let eligible: [[Int]]
    private var loads: [Int]
    /// By topic and member: the seats planned for it, those that cost nothing to move last.
    private var seatsOf: [[[Int]]]

    private init(_ seats: [Seat], eligible: [[Int]], members: Int) {
        self.eligible = eligible
        loads = Array(repeating: 0, count: members)
        seatsOf = Array(repeating: Array(repeating: [], count: members), count: eligible.count)
        for held in [true, false] {
            for (index, seat) in seats.enumerated() where seat.isHeld == held {
                guard let member = seat.member else { continue }
                loads[member] += 1
                seatsOf[seat.topic][member].append(index)
            }
        }
    }

    /// Plans `seats`: the loads differ by at most one wherever a single move could level them. A seat's present member
    /// must be eligible. A seat nobody is eligible for stays without a member.
    static func balance(_ seats: inout [Seat], eligible: [[Int]], members: Int) {
        var assignment = StickyAssignment(seats, eligible: eligible, members: members)
        assignment.fill(&seats)
        assignment.level(&seats)
    }

    private mutating func fill(_ seats: inout [Seat]) {
        for index in seats.indices where seats[index].member == nil {
            let topic = seats[index].topic
            guard let member = leastLoaded(of: topic) else { continue }
            seats[index].member = member
            loads[member] += 1
            seatsOf[topic][member].append(index)
        }
    }

    /// Each move lowers the sum of the squares of the loads: it ends.
    private mutating func level(_ seats: inout [Seat]) {
        while let (topic, from, to) = bestMove(), let seat = seatsOf[topic][from].popLast() {
            seats[seat].member = to
            seatsOf[topic][to].append(seat)
            loads[from] -= 1
            loads[to] += 1
        }
    }

    private func bestMove() -> (topic: Int, from: Int, to: Int)? {
        var best: (topic: Int, from: Int, to: Int)?
        var gain = 1
        for topic in eligible.indices {
            guard let to = leastLoaded(of: topic), let from = mostLoaded(of: topic) else { continue }
            if loads[from] - loads[to] > gain {
                gain = loads[from] - loads[to]
                best = (topic, from, to)
            }
        }
        return best
    }

    private func leastLoaded(of topic: Int) -> Int? {
        eligible[topic].min { loads[$0] < loads[$1] }
    }

    private func mostLoaded(of topic: Int) -> Int? {
        eligible[topic].filter { !seatsOf[topic][$0].isEmpty }.max { loads[$0] < loads[$1] }
    }
}
