// Who owns a partition, what it is given, and its handlers.
extension HistoryChecker {
    mutating func assigned(_ event: History.Event, _ partition: Int) {
        guard event.generation >= partitions[partition].generation else { return }
        if event.generation > partitions[partition].generation || partitions[partition].assignment == .max {
            partitions[partition].generation = event.generation
            partitions[partition].assignment = next
        }
        partitions[partition].position = event.offset
    }

    mutating func seek(_ event: History.Event, _ partition: Int) {
        guard event.offset >= 0 else { return }
        partitions[partition].position = event.offset
        partitions[partition].lastCommit = nil
        partitions[partition].seeks.removeLast(while: { $0.offset >= event.offset })
        partitions[partition].seeks.append(PartitionState.Mark(offset: event.offset, event: next))
        let passed = partitions[partition].passed
        guard passed < event.offset else { return }
        partitions[partition].givenUp.append(passed..<event.offset)
        partitions[partition].passed = event.offset
        partitions[partition].known.passAll(below: event.offset)
    }

    /// A new era begins: what was done from the offset on has to be done again, once.
    mutating func reprocess(_ event: History.Event, _ partition: Int) {
        guard event.offset >= 0 else { return }
        seek(event, partition)
        partitions[partition].reopen(from: event.offset)
        partitions[partition].reprocesses.removeLast(while: { $0.offset >= event.offset })
        partitions[partition].reprocesses.append(PartitionState.Mark(offset: event.offset, event: next))
    }

    /// Has a message not done any more if it is to be done again. Once it is looked at, since one event may want that
    /// of any number of them.
    mutating func update(_ message: Int) {
        let partition = Int(messages[message].settlePartition)
        guard partition < partitions.count, !partitions[partition].reprocesses.isEmpty else { return }
        let (offset, event) = (messages[message].settleOffset, messages[message].upToDate)
        guard partitions[partition].isReprocessed(offset, since: event) else { return }
        messages[message].flags.subtract([.settled, .effect, .deadLetter, .claimed])
        messages[message].upToDate = next
    }

    mutating func delivered(_ event: History.Event, _ message: Int, _ partition: Int) {
        counts.delivered += 1
        if messages[message].firstDelivery == .max {
            messages[message].firstDelivery = next
        } else {
            counts.redelivered += 1
        }
        messages[message].lastDelivery = next
        name(event, partition, .delivered)
        switch partitions[partition].kind {
        case .log:
            guard event.offset >= 0 else { return }
            let record = partitions[partition].table.records[partitions[partition].table.place(of: event.offset)]
            if record.flags.contains(.aborted) { phantom(next, record.named, event.message.number) }
            advance(event, partition)
        case .queue:
            let copies = max(1, messages[message].copies &- messages[message].refused)
            if messages[message].acks >= copies { list.add(.redeliveryAfterAck, messages[message].ackEvent, next) }
        }
    }

    /// Moves the newest generation's position; what it jumps over is looked at when all that the log holds is known.
    private mutating func advance(_ event: History.Event, _ partition: Int) {
        guard event.generation == partitions[partition].generation else { return }
        let position = partitions[partition].position
        if position >= 0, event.offset > position {
            partitions[partition].gaps.append(PartitionState.Gap(range: position..<event.offset, event: next))
        }
        partitions[partition].position = max(position, event.offset &+ 1)
    }

    mutating func started(_ event: History.Event) {
        let key = Int(event.lane)
        guard key < keys.count else { return }
        let running = keys[key].running
        if running.event != .max {
            if running.generation == event.generation {
                list.add(.concurrentHandlers, running.event, next)
            } else {
                keys[key].displaceRunning(by: next)
            }
        }
        keys[key].running = KeyState.Run(event: next, message: event.message.number, generation: event.generation)
    }

    mutating func ended(_ event: History.Event) {
        if event.kind == .finished {
            update(Int(event.message.number))
            messages[Int(event.message.number)].flags.insert(.claimed)
        }
        let key = Int(event.lane)
        guard key < keys.count else { return }
        if keys[key].running.isEnd(event) {
            keys[key].running = KeyState.Run()
        } else if let displaced = keys[key].endDisplaced(event) {
            list.add(.concurrentHandlers, displaced.run.event, displaced.by)
        }
    }
}

extension KeyState.Run {
    func isEnd(_ other: History.Event) -> Bool {
        event != .max && message == other.message.number && generation == other.generation
    }
}
