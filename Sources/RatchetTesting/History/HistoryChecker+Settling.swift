// Effects, dead letters and skips; commits and acks.
extension HistoryChecker {
    mutating func settled(_ event: History.Event, _ message: Int, _ partition: Int, byEffect: Bool) {
        settlements &+= 1
        if byEffect { counts.effects += 1 }
        name(event, partition, [])
        fence(event, partition)
        update(message)
        if messages[message].settleEvent != .max { repeated(event, message, partition, byEffect: byEffect) }
        if byEffect { noteEffect(event, partition) }
        messages[message].flags.insert(byEffect ? [.settled, .effect] : [.settled, .deadLetter])
        messages[message].flags.remove(.replayed)
        messages[message].settleEvent = next
        messages[message].settleNumber = settlements
        messages[message].settleTime = event.time
        messages[message].settleOffset = event.offset
        messages[message].settlePartition = event.partition.number
        messages[message].settledByEffect = byEffect
        messages[message].upToDate = next
    }

    private mutating func repeated(_ event: History.Event, _ message: Int, _ partition: Int, byEffect: Bool) {
        let state = messages[message]
        guard byEffect || state.settledByEffect else { return }
        if state.flags.contains(.replayed) || isWantedAgain(event, state, partition) {
            counts.reprocessed += 1
        } else if !isInWindow(event, state, partitions[partition].kind) {
            if byEffect, let first = effectOfRecord(event, partition) {
                list.add(.duplicateEffect, first, next)
            } else {
                counts.repeatedOutsideWindow += 1
            }
        } else {
            let isDuplicate = byEffect && state.settledByEffect
            list.add(isDuplicate ? .duplicateEffect : .deadLetteredAndEffected, state.settleEvent, next)
        }
    }

    private func isInWindow(_ event: History.Event, _ state: MessageState, _ kind: PartitionKind) -> Bool {
        if kind == .log, event.offset >= 0, event.offset == state.settleOffset,
            event.partition.number == state.settlePartition
        {
            return true
        }
        let (elapsed, overflow) = event.time.subtractingReportingOverflow(state.settleTime)
        return settlements &- state.settleNumber <= windowCount && !overflow && elapsed <= windowTime
    }

    private mutating func noteEffect(_ event: History.Event, _ partition: Int) {
        guard partitions[partition].kind == .log, event.offset >= 0 else { return }
        let place = partitions[partition].table.place(of: event.offset)
        if partitions[partition].table.records[place].message == event.message.number {
            partitions[partition].table.records[place].effect = next
        }
    }

    /// The effect that the same record of a log has had, unless an operator wanted it again since.
    private func effectOfRecord(_ event: History.Event, _ partition: Int) -> UInt32? {
        guard let record = partitions[partition].table.find(event.offset), record.effect != .max,
            record.message == event.message.number,
            !partitions[partition].isSought(event.offset, since: record.effect)
        else { return nil }
        return record.effect
    }

    /// Whether an operator has set the position back since, to where it was done or before: it may be done again, from
    /// there on or in another partition, and where it is to be reprocessed anywhere. Behind a position that was set
    /// further nothing is new.
    private func isWantedAgain(_ event: History.Event, _ state: MessageState, _ partition: Int) -> Bool {
        let settled = Int(state.settlePartition)
        guard settled < partitions.count else { return false }
        if partitions[settled].isReprocessed(state.settleOffset, since: state.settleEvent) { return true }
        let offset = settled == partition ? min(event.offset, state.settleOffset) : state.settleOffset
        return partitions[settled].isSought(offset, since: state.settleEvent)
    }

    mutating func replayed(_ event: History.Event) {
        let message = Int(event.message.number)
        messages[message].flags.insert(.replayed)
        messages[message].flags.remove(.deadLetter)
    }

    mutating func skipped(_ event: History.Event, _ message: Int, _ partition: Int) {
        counts.skipped += 1
        name(event, partition, [])
        update(message)
        if !messages[message].flags.contains(.settled) {
            messages[message].flags.insert([.settled, .falseSkip])
            list.add(.falseSkip, next, messages[message].lastDelivery)
        }
    }

    /// Reports a write of a generation that is not the newest any more; returns whether it was one.
    @discardableResult
    private mutating func fence(_ event: History.Event, _ partition: Int) -> Bool {
        guard event.generation < partitions[partition].generation else { return false }
        list.add(.zombieWrite, partitions[partition].assignment, next)
        return true
    }

    mutating func committed(_ event: History.Event, _ partition: Int) {
        counts.committed += 1
        guard event.offset >= 0, !fence(event, partition) else { return }
        let mark = PartitionState.Mark(offset: event.offset, event: next)
        if let last = partitions[partition].lastCommit, last.offset > event.offset {
            list.add(.commitRegression, last.event, next)
        }
        partitions[partition].lastCommit = mark
        guard event.offset > partitions[partition].passed else { return }
        partitions[partition].passed = event.offset
        partitions[partition].commits.append(mark)
        while let entry = partitions[partition].known.pass(below: event.offset) {
            let record = partitions[partition].table.records[entry.place]
            passed(record, by: next, partition, entry.offset, wasThere: !record.flags.contains(.removed))
        }
    }

    mutating func acked(_ event: History.Event, _ message: Int, _ partition: Int) {
        counts.acked += 1
        name(event, partition, [])
        messages[message].acks &+= 1
        messages[message].ackEvent = next
        var record = Record(message: event.message.number)
        record.named = messages[message].lastDelivery
        passed(record, by: next, partition, -1, wasThere: true)
    }

    /// A commit or ack let go of a record: notes it unless it is done. Whether that is a finding shows at the end.
    mutating func passed(_ record: Record, by trigger: UInt32, _ partition: Int, _ offset: Int64, wasThere: Bool) {
        guard Int(record.message) < messages.count else { return }
        update(Int(record.message))
        let state = messages[Int(record.message)]
        guard !state.flags.contains(.settled) else { return }
        if state.passedBy == .max { messages[Int(record.message)].passedBy = trigger }
        passedMessages.append(
            PassedMessage(
                by: trigger,
                message: record.message,
                named: record.named,
                partition: UInt16(partition),
                offset: offset,
                wasClaimed: state.flags.contains(.claimed),
                wasThere: wasThere
            )
        )
    }
}
