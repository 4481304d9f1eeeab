import DequeModule

extension SharedGroup {
    /// Answers deliveries: all of them, or none if a tag is refused.
    mutating func settle(
        _ id: ConsumerID,
        through: Int64?,
        tags: [Int64],
        _ answer: Answer,
        _ request: RequestID,
        _ now: Duration,
        _ actions: inout [Action]
    ) {
        guard let index = index(of: id) else { return actions.append(.refuse(request, .fenced)) }
        consumers[index].seen = now
        let answered: [Consumer.Held]
        do throws(Failure) {
            answered = try consumers[index].release(through: through, tags: tags, again: answer == .ackAgain)
        } catch {
            return actions.append(.refuse(request, error.refusal))
        }
        var letters: [DeadLetter] = []
        for held in answered {
            switch answer {
            case .ack, .ackAgain: partitions[held.partition].settle(held.offset)
            case .reject: reject(held, of: id, &letters)
            case .requeue: giveBack(held, of: id, &letters)
            }
        }
        if !letters.isEmpty {
            actions.append(.deadLetter(letters, request))
        } else if case .requeue = answer {
            actions.append(.confirm([request]))
        } else {
            pending.append(request)
        }
    }

    private mutating func reject(_ held: Consumer.Held, of id: ConsumerID, _ letters: inout [DeadLetter]) {
        guard limits.hasDeadLetterTopic else { return partitions[held.partition].settle(held.offset) }
        bury(held, of: id, .rejected, &letters)
    }

    private mutating func giveBack(_ held: Consumer.Held, of id: ConsumerID, _ letters: inout [DeadLetter]) {
        let count = partitions[held.partition].count(of: held.offset, heldBy: id) ?? 0
        guard let limit = limits.deliveryLimit, count >= limit else {
            return partitions[held.partition].giveBack(held.offset)
        }
        bury(held, of: id, .deliveryLimit, &letters)
    }

    private mutating func bury(
        _ held: Consumer.Held,
        of id: ConsumerID,
        _ reason: DeadLetter.Reason,
        _ letters: inout [DeadLetter]
    ) {
        // Nil once retention has removed it.
        guard let count = partitions[held.partition].count(of: held.offset, heldBy: id) else { return }
        partitions[held.partition].leave(held.offset)
        letters.append(DeadLetter(partition: held.partition, offset: held.offset, count: count, reason: reason))
    }

    /// What came back in no good order, as with a crash, and was delivered as often as it may be.
    mutating func buryExhausted(_ actions: inout [Action]) {
        guard let limit = limits.deliveryLimit else { return }
        var letters: [DeadLetter] = []
        for index in partitions.indices {
            for (offset, count) in partitions[index].exhausted(limit) {
                partitions[index].leave(offset)
                letters.append(DeadLetter(partition: index, offset: offset, count: count, reason: .deliveryLimit))
            }
        }
        if !letters.isEmpty { actions.append(.deadLetter(letters, nil)) }
    }

    /// The consumer is none any more: what it had not answered comes back.
    mutating func remove(_ id: ConsumerID, _ actions: inout [Action]) {
        guard let index = index(of: id) else { return }
        let consumer = consumers.remove(at: index)
        waiting.removeAll { $0 == id }
        var letters: [DeadLetter] = []
        for held in consumer.held { giveBack(held, of: id, &letters) }
        if !letters.isEmpty { actions.append(.deadLetter(letters, nil)) }
    }

    /// Who neither waits nor has answered for too long is none any more.
    mutating func expire(_ now: Duration, _ actions: inout [Action]) {
        for consumer in consumers where consumer.asked == 0 && now - consumer.seen > limits.sessionTimeout {
            remove(consumer.id, &actions)
            actions.append(.evicted(consumer.id))
        }
    }

    /// What consumers have in their hands of what was cut off they answer as all else, and it means nothing.
    mutating func cut(_ partition: Int, to end: Int64, _ actions: inout [Action]) {
        guard partitions[partition].reaches(beyond: end) else { return }
        partitions[partition].cut(to: end)
        for consumer in consumers.indices {
            var tags: [Int64] = []
            for index in consumers[consumer].held.indices {
                let held = consumers[consumer].held[index]
                guard held.partition == partition, held.offset >= end else { continue }
                consumers[consumer].held[index].offset = Consumer.Held.gone
                tags.append(held.tag)
            }
            if !tags.isEmpty { actions.append(.withdraw(consumers[consumer].id, tags: tags)) }
        }
    }

    mutating func unread(_ id: ConsumerID, _ tags: [Int64]) {
        guard let index = index(of: id) else { return }
        let unread = Set(tags)
        for held in consumers[index].held where unread.contains(held.tag) {
            partitions[held.partition].giveBack(held.offset, isCounted: false)
        }
        consumers[index].held.removeAll { unread.contains($0.tag) }
    }

    /// What others have of it they may be at work on: they answer it as they answer what is still there.
    mutating func absent(_ id: ConsumerID, _ tags: [Int64], _ partition: Int, _ offsets: Range<Int64>) {
        if let index = index(of: id) { consumers[index].held.removeAll { tags.contains($0.tag) } }
        partitions[partition].absent(offsets, spread: limits.spread)
    }

    fileprivate struct Failure: Error { let refusal: Refusal }
}

extension SharedGroup.Consumer {
    /// Takes what is answered out of what it has, by rising tag.
    fileprivate mutating func release(
        through: Int64?,
        tags: [Int64],
        again: Bool
    ) throws(SharedGroup.Failure) -> [Held] {
        if let through, through >= nextTag || through < 1 && !again { throw .init(refusal: .unknownTag(through)) }
        var single: Set<Int64> = []
        for tag in tags {
            guard 1..<nextTag ~= tag else { throw .init(refusal: .unknownTag(tag)) }
            let isNew = place(of: tag) != nil && single.insert(tag).inserted
            guard isNew || again else {
                throw .init(refusal: .settledTag(tag))
            }
        }
        if through == nil, tags.count == 1, let place = place(of: tags[0]) { return [held.remove(at: place)] }
        var (released, kept): ([Held], Deque<Held>) = ([], [])
        for entry in held {
            if entry.tag <= through ?? 0 || single.contains(entry.tag) {
                released.append(entry)
            } else {
                kept.append(entry)
            }
        }
        held = kept
        return released
    }

    private func place(of tag: Int64) -> Int? {
        var (low, high) = (0, held.count)
        while low < high {
            let middle = (low + high) / 2
            if held[middle].tag < tag { low = middle + 1 } else { high = middle }
        }
        return low < held.count && held[low].tag == tag ? low : nil
    }
}
