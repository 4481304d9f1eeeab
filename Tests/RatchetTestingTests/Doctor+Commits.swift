import RatchetTesting
import Seeds

extension Doctor {
    /// Moves a commit before the effect or dead letter of a record that it covers.
    mutating func commitEarly() -> Change? {
        var choices: [(commit: Int, settlement: Int)] = []
        for (index, commit) in events.enumerated() where commit.kind == .committed {
            let before = last(before: index) { $0.kind == .committed && $0.partition == commit.partition }
            let from = before.map { events[$0].offset } ?? 0
            let earliest = max(before ?? 0, owner(at: index)?.assignment ?? 0)
            choices += events.indices.filter { at in
                let event = events[at]
                return earliest < at && at < index && (event.kind == .effect || event.kind == .deadLettered)
                    && event.partition == commit.partition && (from..<commit.offset).contains(event.offset)
            }.map { (index, $0) }
        }
        guard let choice = choices.randomElement(using: &random) else { return nil }
        move(choice.commit, before: choice.settlement)
        return [choice.settlement]
    }

    /// Moves a queue's ack before the effect.
    mutating func ackEarly() -> Change? {
        var choices: [(ack: Int, effect: Int)] = []
        for (index, effect) in events.enumerated() where effect.kind == .effect {
            let next = first(after: index) { event in
                event.message == effect.message && (event.kind == .delivered || event.kind == .acked)
            }
            if let next, events[next].kind == .acked { choices.append((next, index)) }
        }
        guard let choice = choices.randomElement(using: &random) else { return nil }
        move(choice.ack, before: choice.effect)
        return [choice.effect]
    }

    mutating func commitBackwards() -> Change? {
        guard let found = pick(all { events[$0].kind == .committed && events[$0].offset > 0 }) else { return nil }
        let partition = events[found].partition
        let limit = first(after: found) { event in
            event.kind == .drained || event.partition == partition && [.assigned, .committed].contains(event.kind)
        }
        guard let limit else { return nil }
        let again = Int.random(in: found + 1...limit, using: &random)
        var commit = events[found]
        commit.offset = Int64.random(in: 0..<commit.offset, using: &random)
        insert(commit, at: again)
        return [found, again]
    }

    mutating func redeliver() -> Change? {
        let found = pick(
            all { index in
                let event = events[index]
                guard event.kind == .acked else { return false }
                let isLast = first(after: index) { $0.kind == .acked && $0.message == event.message } == nil
                let copies = count { $0.kind == .sending && $0.message == event.message }
                return isLast && copies == count { $0.kind == .acked && $0.message == event.message }
            }
        )
        guard let found else { return nil }
        let again = place(behind: found)
        let ack = events[found]
        let tag = ack.offset + Int64(random.chance(50) ? 0 : 100_000)
        insert(.delivered(ack.message, ack.partition, offset: tag, generation: 0), at: again)
        return [found, again]
    }

    /// One partition's consumer does nothing from some moment on.
    mutating func stopPartition() -> Change? {
        guard let moment = pick(all { events[$0].kind == .committed }) else { return nil }
        let partition = events[moment].partition
        let committed = last(before: moment) { $0.kind == .committed && $0.partition == partition }
        let from = committed.map { events[$0].offset } ?? 0
        let aborted = events.filter { $0.kind == .aborted && $0.partition == partition }.map(\.offset)
        let isLeft = events.contains {
            $0.kind == .appended && $0.partition == partition && $0.offset >= from && !aborted.contains($0.offset)
        }
        guard isLeft else { return nil }
        let work: [Kind] = [
            .delivered, .started, .finished, .failed, .effect, .skipped, .deadLettered, .committed,
        ]
        events = events.enumerated().filter { index, event in
            index < moment || event.partition != partition || !work.contains(event.kind)
        }.map(\.element)
        return events.firstIndex { $0.kind == .end && $0.partition == partition }.map { [$0] }
    }

    /// The queue still holds a message that should have been acked.
    mutating func keepQueued() -> Change? {
        guard let end = events.firstIndex(where: { $0.kind == .end }), let ack = pick(all { events[$0].kind == .acked })
        else { return nil }
        events[end].offset = 1
        events.remove(at: ack)
        return [end - 1]
    }
}
