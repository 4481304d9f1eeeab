import Seeds

@testable import Ratchet

/// The ledger's writer as the scheduler sees it: pieces are written in order and come back later, in order.
struct SimulatedWriter {
    struct Piece {
        var number: Int
        var entries: [SettlementEntry]
        var outcomes: [SettlementOutcome]?
    }

    struct Failure: Error {}

    var pieces: [Piece] = []
    var doneKeys: Set<UInt64> = []
    /// How many of a hundred handlers fail in the writer.
    var failurePercent = 20
    var problems: [String] = []

    /// Writes the first piece that is not written.
    mutating func write(_ partitions: inout [SimulatedPartition], _ ordering: Ordering, _ random: inout SeededRandom) {
        guard let at = pieces.firstIndex(where: { $0.outcomes == nil }) else { return }
        pieces[at].outcomes = pieces[at].entries.map { settle($0, &partitions, ordering, &random) }
    }

    private mutating func settle(
        _ entry: SettlementEntry,
        _ partitions: inout [SimulatedPartition],
        _ ordering: Ordering,
        _ random: inout SeededRandom
    ) -> SettlementOutcome {
        let lease = entry.batch.lease
        let at = lease.partition.partition
        guard !lease.isFenced, partitions[at].generation == lease.generation else { return .fenced }
        if partitions[at].tracker.isDone(entry.offset) { return .redelivered }
        let lane = ordering.lane(of: entry)
        if !entry.isFault {
            if entry.opensLane { lease.blockedLanes.remove(lane) }
            if lease.blockedLanes.contains(lane) { return .deferred }
        }
        let outcome: SettlementOutcome
        if entry.batch.isKeyed, doneKeys.contains(entry.fingerprint) {
            outcome = .duplicate
        } else {
            switch entry.verdict {
            case .deadLetter: outcome = .deadLettered
            case .discard: outcome = .discarded
            case nil:
                if random.chance(failurePercent) {
                    if random.chance(20) {
                        outcome = .deadLettered
                    } else {
                        lease.blockedLanes.insert(lane)
                        return .failed(Failure())
                    }
                } else {
                    outcome = .processed
                }
            }
            if entry.batch.isKeyed { doneKeys.insert(entry.fingerprint) }
        }
        note(entry, &partitions[at], ordering)
        return outcome
    }

    private mutating func note(_ entry: SettlementEntry, _ partition: inout SimulatedPartition, _ ordering: Ordering) {
        let index = partition.index(of: entry.offset)
        partition.settled[index] += 1
        partition.tracker.settle(entry.batch.messages.coveredOffsets(at: Int(entry.index)), digest: 0)
        guard !entry.isFault else { return }
        let key: [UInt8]
        switch ordering {
        case .none: return
        case .partition: key = []
        case .key:
            guard let own = partition.messages[index].key else { return }
            key = own
        }
        if let last = partition.lastOfLane[key], last >= entry.offset {
            problems.append("\(partition.name): \(entry.offset) was settled after \(last)")
        }
        partition.lastOfLane[key] = entry.offset
    }
}
