import RatchetTesting
import Seeds

extension Doctor {
    /// The handler ends well, and its effect is not there.
    mutating func loseEffect() -> Change? {
        let found = pick(
            all { index in
                let event = events[index]
                guard event.kind == .effect, events[index + 1].kind == .finished else { return false }
                let rest = events.filter { $0.message == event.message }
                return rest.contains { $0.kind == .sentOK } && !rest.contains { $0.kind == .skipped }
            }
        )
        guard let found else { return nil }
        let message = events.remove(at: found).message
        return events.lastIndex { $0.kind == .sentOK && $0.message == message }.map { [$0] }
    }

    mutating func repeatEffect() -> Change? {
        guard let effect = pick(all { events[$0].kind == .effect }) else { return nil }
        let again = place(behind: effect)
        insert(events[effect], at: again)
        return [effect, again]
    }

    mutating func settleBothWays() -> Change? {
        guard let first = pick(all { events[$0].kind == .effect || events[$0].kind == .deadLettered }) else {
            return nil
        }
        let second = place(behind: first)
        var other = events[first]
        other.kind = other.kind == .effect ? .deadLettered : .effect
        insert(other, at: second)
        return [first, second]
    }

    /// A skip before the effect, or in its place.
    mutating func skipFalsely() -> Change? {
        guard let effect = pick(all { events[$0].kind == .effect }) else { return nil }
        let event = events[effect]
        let delivery = last(before: effect) { $0.kind == .delivered && isOfSamePlace($0, event) }
        guard let delivery else { return nil }
        let skip = random.chance(50) ? effect : Int.random(in: delivery + 1...effect, using: &random)
        var skipped = event
        skipped.kind = .skipped
        if skip == effect, random.chance(50) {
            events[effect] = skipped
        } else {
            insert(skipped, at: skip)
        }
        return [skip]
    }

    mutating func writeAsZombie() -> Change? {
        let found = pick(
            all { index in
                [.effect, .deadLettered, .committed].contains(events[index].kind)
                    && (owner(at: index)?.generation ?? 0) > 1
            }
        )
        guard let found, let owner = owner(at: found) else { return nil }
        let older = UInt32.random(in: 1..<owner.generation, using: &random)
        guard events[found].kind == .committed else {
            events[found].generation = older
            return [owner.assignment, found]
        }
        // The broker takes the right one too.
        let at = place(behind: found)
        var commit = events[found]
        commit.generation = older
        commit.offset += Int64(random.below(100) - 50)
        if commit.offset < 0 { commit.offset = 0 }
        insert(commit, at: at)
        return [owner.assignment, at]
    }
}
