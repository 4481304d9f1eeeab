// Sends, and what the log holds.
extension HistoryChecker {
    mutating func sending(_ event: History.Event) {
        isDrained = false
        let message = Int(event.message.number)
        messages[message].flags.insert(.sending)
        messages[message].copies &+= 1
        sends.append(SendState(event: next, producer: event.lane, message: event.message.number))
    }

    mutating func sentOK(_ event: History.Event, _ message: Int, _ partition: Int) {
        messages[message].flags.insert(.ok)
        messages[message].okEvent = next
        messages[message].okPartition = event.partition.number
        messages[message].okOffset = event.offset
        name(event, partition, .confirmed)
    }

    mutating func sentFailed(_ event: History.Event) {
        let message = Int(event.message.number)
        messages[message].flags.insert(.failed)
        if messages[message].refused < messages[message].copies { messages[message].refused += 1 }
    }

    mutating func appended(_ event: History.Event, _ message: Int, _ partition: Int) {
        messages[message].flags.insert(.appended)
        name(event, partition, .appended)
    }

    mutating func aborted(_ event: History.Event, _ partition: Int) {
        guard event.offset >= 0 else { return }
        let place = partitions[partition].table.place(of: event.offset)
        name(event, partition, .aborted)
        partitions[partition].table.records[place].named = next
        let delivery = partitions[partition].table.records[place].delivery
        if delivery != .max { phantom(delivery, next, event.message.number) }
    }

    mutating func phantom(_ delivery: UInt32, _ reason: UInt32, _ message: UInt32) {
        messages[Int(message)].flags.insert(.phantom)
        list.add(.phantomRead, delivery, reason)
    }

    /// Notes that an event names an offset together with a message, and what it says of the record there.
    mutating func name(_ event: History.Event, _ partition: Int, _ flags: Record.Flags) {
        guard event.offset >= 0 else { return }
        let place = partitions[partition].table.place(of: event.offset)
        var record = partitions[partition].table.records[place]
        let wasKnown = !record.flags.isDisjoint(with: .known)
        if record.message == .max {
            record.message = event.message.number
            record.named = next
        } else if record.message != event.message.number, !record.flags.contains(.conflict) {
            record.flags.insert(.conflict)
            list.add(.offsetConflict, record.named, next)
        }
        if flags.contains(.delivered), record.delivery == .max { record.delivery = next }
        record.flags.formUnion(flags)
        partitions[partition].table.records[place] = record
        if !wasKnown, !flags.isDisjoint(with: .known) { becameKnown(place, record, event.offset, partition) }
    }

    private mutating func becameKnown(_ place: Int, _ record: Record, _ offset: Int64, _ partition: Int) {
        guard partitions[partition].kind == .log else { return }
        let entry = KnownRecords.Entry(offset: offset, place: place)
        guard offset < partitions[partition].passed else {
            partitions[partition].known.add(entry)
            return
        }
        partitions[partition].known.addPassed(entry)
        // Nobody knew of it, and a commit went past it: which one?
        guard !partitions[partition].isGivenUp(offset) else { return }
        let commits = partitions[partition].commits
        let at = commits.firstIndex(past: { $0.offset > offset })
        if at < commits.count { passed(record, by: commits[at].event, partition, offset, wasThere: false) }
    }
}
