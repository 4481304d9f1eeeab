import RatchetTesting
import Seeds

/// Sound histories, made unsound at one random place where exactly one thing is wrong afterwards.
struct Doctor {
    typealias Event = History.Event
    typealias Kind = History.Event.Kind

    /// What was done: the doctored events, by their index in the history as it is now.
    typealias Change = [Int]

    var events: [Event]
    var random: SeededRandom

    init(_ history: History, _ seed: Seed) {
        events = history.events
        random = SeededRandom(state: ~seed.value)
    }

    /// The events, by index, for which that is so.
    func all(_ isCandidate: (Int) -> Bool) -> [Int] { events.indices.filter(isCandidate) }

    mutating func pick(_ candidates: [Int]) -> Int? { candidates.randomElement(using: &random) }

    func first(after index: Int, where matches: (Event) -> Bool) -> Int? {
        events[(index + 1)...].firstIndex(where: matches)
    }

    func last(before index: Int, where matches: (Event) -> Bool) -> Int? {
        events[..<index].lastIndex(where: matches)
    }

    func count(where matches: (Event) -> Bool) -> Int { events.count(where: matches) }

    func isOfSamePlace(_ a: Event, _ b: Event) -> Bool { a.partition == b.partition && a.offset == b.offset }

    /// A random place behind `index`, before another generation takes the partition over or the history ends.
    mutating func place(behind index: Int) -> Int {
        let partition = events[index].partition
        let limit = first(after: index) { $0.kind == .drained || $0.kind == .assigned && $0.partition == partition }
        return Int.random(in: index + 1...(limit ?? events.count - 1), using: &random)
    }

    mutating func insert(_ event: Event, at index: Int) {
        var event = event
        event.time = events[min(index, events.count - 1)].time
        events.insert(event, at: index)
    }

    /// Moves an event to right before another that is earlier.
    mutating func move(_ index: Int, before target: Int) {
        let event = events.remove(at: index)
        insert(event, at: target)
    }

    /// Moves an event to right behind another that is later.
    mutating func move(_ index: Int, behind target: Int) {
        insert(events[index], at: target + 1)
        events.remove(at: index)
    }

    /// The generation that has the partition of the event at `index` at that moment, and since when.
    func owner(at index: Int) -> (generation: UInt32, assignment: Int)? {
        let partition = events[index].partition
        return last(before: index) { $0.kind == .assigned && $0.partition == partition }.map {
            (events[$0].generation, $0)
        }
    }

    /// Doctors for one kind of finding; returns nil when the history offers no place for it.
    mutating func apply(_ kind: Finding.Kind) -> Change? {
        switch kind {
        case .lostEffect: loseEffect()
        case .duplicateEffect: repeatEffect()
        case .falseSkip: skipFalsely()
        case .prematureCommit: commitEarly() ?? ackEarly()
        case .commitRegression: commitBackwards()
        case .zombieWrite: writeAsZombie()
        case .phantomRead: readPhantom()
        case .offsetConflict: confuseOffsets()
        case .pollSkip: dropDelivery()
        case .orderInversion: invertSends()
        case .concurrentHandlers: random.chance(50) ? overlapHandlers() : overlapGenerations()
        case .redeliveryAfterAck: redeliver()
        case .deadLetteredAndEffected: settleBothWays()
        case .confirmedButAbsent: loseRecord()
        case .stuck: stopPartition() ?? keepQueued()
        }
    }
}
