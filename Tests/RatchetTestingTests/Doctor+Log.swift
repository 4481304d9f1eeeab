import RatchetTesting
import Seeds

extension Doctor {
    mutating func readPhantom() -> Change? {
        switch random.below(3) {
        case 0: readAborted()
        case 1: readUnsent()
        default: readBehindEnd()
        }
    }

    /// Delivers a record of an aborted transaction, among others.
    private mutating func readAborted() -> Change? {
        guard let aborted = pick(all { events[$0].kind == .aborted }) else { return nil }
        let record = events[aborted]
        let behind = pick(
            all { index in
                let event = events[index]
                return event.kind == .delivered && event.partition == record.partition && event.offset > record.offset
            }
        )
        guard let behind else { return nil }
        let generation = Int64(events[behind].generation)
        insert(
            .delivered(record.message, record.partition, offset: record.offset, generation: generation),
            at: behind + 1
        )
        return [behind + 1, aborted]
    }

    /// Takes away that a message was ever sent and written.
    private mutating func readUnsent() -> Change? {
        guard let delivery = pick(all { events[$0].kind == .delivered }) else { return nil }
        let message = events[delivery].message
        let sending: [Kind] = [.sending, .sentOK, .sentFailed, .sentUnknown, .appended, .aborted]
        events.removeAll { $0.message == message && sending.contains($0.kind) }
        return events.firstIndex { $0.kind == .delivered && $0.message == message }.map { [$0] }
    }

    /// Delivers something from behind the log's end.
    private mutating func readBehindEnd() -> Change? {
        guard let end = pick(all { events[$0].kind == .end }) else { return nil }
        let (partition, offset) = (events[end].partition, events[end].offset + Int64(random.below(5)))
        let last = events.lastIndex { $0.kind == .delivered && $0.partition == partition }
        guard let last else { return nil }
        let message = events[random.below(last + 1)].message
        guard message != .none else { return nil }
        let generation = Int64(events[last].generation)
        insert(.delivered(message, partition, offset: offset, generation: generation), at: last + 1)
        return [last + 1, end + 1]
    }

    mutating func confuseOffsets() -> Change? {
        let found = pick(
            all { [.delivered, .appended, .effect, .started].contains(events[$0].kind) && events[$0].offset >= 0 }
        )
        guard let found else { return nil }
        let event = events[found]
        // A message that is done already, so that only the offset is wrong.
        let others = events[..<found].filter {
            ($0.kind == .effect || $0.kind == .deadLettered) && $0.message != event.message
        }
        guard let other = others.randomElement(using: &random) else { return nil }
        if event.kind == .delivered || event.kind == .appended {
            events[found].message = other.message
            return [found]
        }
        var copy = event
        copy.kind = .delivered
        copy.message = other.message
        insert(copy, at: found + 1)
        return [found + 1]
    }

    /// A consumer is not given a record that lies before another that it is given.
    mutating func dropDelivery() -> Change? {
        var choices: [(delivery: Int, next: Int)] = []
        for (index, event) in events.enumerated() where event.kind == .delivered && event.generation > 0 {
            let next = first(after: index) { later in
                later.kind == .delivered && later.partition == event.partition && later.generation == event.generation
            }
            if let next { choices.append((index, next)) }
        }
        guard let choice = choices.randomElement(using: &random) else { return nil }
        let event = events.remove(at: choice.delivery)
        let record = events.firstIndex { $0.kind == .appended && isOfSamePlace($0, event) }
        return record.map { [$0, choice.next - 1] }
    }

    mutating func invertSends() -> Change? {
        var choices: [(earlier: Int, later: Int)] = []
        let sends = events.indices.filter { index in
            events[index].kind == .sending && count { $0.kind == .sending && $0.message == events[index].message } == 1
        }
        let confirms = sends.map { send in
            events.first { $0.kind == .sentOK && $0.message == events[send].message }
        }
        for later in sends.indices {
            for earlier in sends.indices[..<later] {
                guard let a = confirms[earlier], let b = confirms[later], a.partition == b.partition,
                    isOfSameProducer(sends[earlier], sends[later])
                else { continue }
                choices.append((sends[earlier], sends[later]))
            }
        }
        guard let choice = choices.randomElement(using: &random) else { return nil }
        move(choice.later, before: choice.earlier)
        return [choice.earlier, choice.earlier + 1]
    }

    private func isOfSameProducer(_ a: Int, _ b: Int) -> Bool { events[a].producer == events[b].producer }

    /// A handler ends only when the next of its key has begun.
    mutating func overlapHandlers() -> Change? {
        var choices: [(start: Int, end: Int, next: Int)] = []
        for (index, event) in events.enumerated() where event.kind == .started && event.key != nil {
            let end = first(after: index) { later in
                [.finished, .failed].contains(later.kind) && isOfSamePlace(later, event)
                    && later.generation == event.generation
            }
            let next = first(after: index) { $0.kind == .started && $0.key == event.key }
            guard let end, let next, end < next, events[next].generation == event.generation else { continue }
            choices.append((index, end, next))
        }
        guard let choice = choices.randomElement(using: &random) else { return nil }
        move(choice.end, behind: choice.next)
        return [choice.start, choice.next - 1]
    }

    /// A handler that seemed to have died with its process ends after all, when another generation's runs.
    mutating func overlapGenerations() -> Change? {
        var choices: [(start: Int, next: Int)] = []
        for (index, event) in events.enumerated() where event.kind == .started && event.key != nil {
            let next = first(after: index) { $0.key == event.key && $0.kind != .delivered }
            guard let next, events[next].kind == .started, events[next].generation > event.generation else { continue }
            choices.append((index, next))
        }
        guard let choice = choices.randomElement(using: &random) else { return nil }
        var end = events[choice.start]
        end.kind = .failed
        insert(end, at: choice.next + 1)
        return [choice.start, choice.next]
    }

    /// The log forgets a confirmed record.
    mutating func loseRecord() -> Change? {
        let found = pick(
            all { index in
                let event = events[index]
                return event.kind == .sentOK && event.offset >= 0
                    && count { $0.kind == .sending && $0.message == event.message } == 1
            }
        )
        guard let found else { return nil }
        let message = events[found].message
        events.removeAll { $0.message == message && $0.kind != .sending && $0.kind != .sentOK }
        let confirm = events.firstIndex { $0.kind == .sentOK && $0.message == message }
        return confirm.map { [$0] }
    }
}
