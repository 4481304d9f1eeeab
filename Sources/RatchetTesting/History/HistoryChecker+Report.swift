// What only the whole history can tell.
extension HistoryChecker {
    consuming func report(_ history: History) -> HistoryReport {
        for partition in partitions.indices { lookAtRecords(of: partition) }
        for message in messages.indices {
            update(message)
            lookAtMessage(message)
        }
        reportPassed()
        reportInversions()
        return HistoryReport(
            findings: list.findings(in: history),
            totals: Finding.Kind.allCases.map { HistoryReport.Total(kind: $0, count: list.totals[Int($0.rawValue)]) },
            counts: counts,
            events: history.events.count,
            droppedEvents: history.droppedEvents,
            isDrained: isDrained
        )
    }

    private mutating func lookAtRecords(of partition: Int) {
        let state = partitions[partition]
        guard state.kind == .log else {
            if isDrained, let end = state.end, end.offset > 0 { list.add(.stuck, end.event) }
            return
        }
        var existing: [KnownRecords.Entry] = []
        var backlog: KnownRecords.Entry?
        for entries in [state.known.rising, state.known.others] {
            for entry in entries {
                let record = state.table.records[entry.place]
                let exists = state.exists(record, at: entry.offset)
                if exists, !state.gaps.isEmpty { existing.append(entry) }
                if !exists { reportUnknown(record, state) }
                guard Int(record.message) < messages.count else { continue }
                if !exists || state.isGivenUp(entry.offset) {
                    let isWithdrawn = !record.flags.isDisjoint(with: [.removed, .aborted])
                    if exists || isWithdrawn { messages[Int(record.message)].flags.insert(.givenUp) }
                } else if entry.offset >= state.passed, state.end != nil {
                    messages[Int(record.message)].flags.insert(.backlog)
                    backlog = min(backlog ?? entry, entry)
                } else {
                    messages[Int(record.message)].flags.insert(.due)
                }
            }
        }
        reportSkips(state, existing)
        if isDrained, let backlog, let end = state.end {
            let last = state.lastCommit?.event ?? state.assignment
            let first = state.table.records[backlog.place].named
            if last == .max { list.add(.stuck, first, end.event) } else { list.add(.stuck, last, first, end.event) }
        }
    }

    /// A delivery from an offset at which the log, told to its end, has no record.
    private mutating func reportUnknown(_ record: Record, _ state: PartitionState) {
        guard let end = state.end, record.delivery != .max,
            record.flags.isDisjoint(with: [.appended, .aborted, .removed, .conflict])
        else { return }
        phantom(record.delivery, end.event, record.message)
    }

    /// Deliveries that jumped over records.
    private mutating func reportSkips(_ state: PartitionState, _ known: [KnownRecords.Entry]) {
        guard !state.gaps.isEmpty else { return }
        let existing = known.sorted()
        for gap in state.gaps {
            let at = existing.firstIndex(past: { $0.offset >= gap.range.lowerBound })
            guard at < existing.count, existing[at].offset < gap.range.upperBound else { continue }
            list.add(.pollSkip, state.table.records[existing[at].place].named, gap.event)
        }
    }

    private mutating func lookAtMessage(_ message: Int) {
        let state = messages[message]
        let hasEffect = state.flags.contains(.effect)
        let hasDeadLetter = state.flags.contains(.deadLetter)
        counts.withEffect += hasEffect ? 1 : 0
        counts.deadLettered += hasDeadLetter ? 1 : 0
        let sent: MessageState.Flags = [.sending, .ok, .failed, .unknown]
        if state.flags.isDisjoint(with: sent.union([.appended, .phantom])) {
            let first = state.firstDelivery != .max || sends.isEmpty ? state.firstDelivery : state.settleEvent
            if first != .max { list.add(.phantomRead, first) }
        }
        if state.flags.contains(.ok) {
            counts.sentOK += 1
            counts.okWithEffect += hasEffect ? 1 : 0
            counts.okDeadLettered += hasDeadLetter && !hasEffect ? 1 : 0
            let isAbsent = reportAbsent(message, state)
            if !hasEffect, !hasDeadLetter { lookAtUneffected(message, state, isAbsent: isAbsent) }
        } else if state.flags.contains(.unknown) || state.flags.isDisjoint(with: [.ok, .failed]) {
            guard state.flags.contains(.sending) || state.flags.contains(.unknown) else { return }
            counts.sentUnknown += 1
            if hasEffect || hasDeadLetter { counts.unknownWithEffect += 1 } else { counts.unknownWithNeither += 1 }
        } else {
            counts.sentFailed += 1
            counts.failedWithEffect += hasEffect || hasDeadLetter ? 1 : 0
        }
    }

    private mutating func reportAbsent(_ message: Int, _ state: MessageState) -> Bool {
        let partition = partitions[Int(state.okPartition)]
        guard partition.kind == .log, let end = partition.end else { return false }
        // One that was sent once has no other place where it could be.
        let isCut = state.copies == 1 && state.okOffset >= end.offset
        guard isCut || !state.flags.contains(.appended) else { return false }
        if let record = partition.table.find(state.okOffset),
            !record.flags.isDisjoint(with: [.conflict, .aborted, .removed])
        {
            return false
        }
        messages[message].flags.insert(.gone)
        list.add(.confirmedButAbsent, state.okEvent, end.event)
        return true
    }

    private mutating func lookAtUneffected(_ message: Int, _ state: MessageState, isAbsent: Bool) {
        counts.okWithNeither += 1
        if state.flags.contains(.givenUp), !state.flags.contains(.due) {
            counts.okGivenUp += 1
            return
        }
        let isBacklog = state.flags.contains(.backlog) || isQueued(state)
        guard isDrained, !isAbsent, !isBacklog, !state.flags.contains(.falseSkip) else { return }
        messages[message].flags.insert(.gone)
        let events = [state.okEvent, state.lastDelivery, state.passedBy].filter { $0 != .max } + [.max, .max]
        list.add(.lostEffect, events[0], events[1], events[2])
    }

    /// Whether it may be one of the messages that its queue still holds.
    private func isQueued(_ state: MessageState) -> Bool {
        let partition = partitions[Int(state.okPartition)]
        guard partition.kind == .queue, let end = partition.end else { return false }
        return end.offset > 0 && state.acks < max(1, state.copies)
    }

    private mutating func reportPassed() {
        for entry in passedMessages {
            let isGone = messages[Int(entry.message)].flags.contains(.gone)
            if isGone, entry.wasClaimed { continue }
            if entry.offset >= 0 {
                let state = partitions[Int(entry.partition)]
                guard let record = state.table.find(entry.offset) else { continue }
                let wasRemoved = entry.wasThere && record.flags.contains(.removed) && !record.flags.contains(.aborted)
                guard wasRemoved || state.exists(record, at: entry.offset) else { continue }
            }
            list.add(.prematureCommit, entry.by, entry.named)
        }
    }

    private mutating func reportInversions() {
        struct Order: Hashable {
            let producer: UInt32
            let partition: UInt16
        }
        var last: [Order: PartitionState.Mark] = [:]
        for send in sends {
            let state = messages[Int(send.message)]
            guard state.copies == 1, state.okOffset >= 0 else { continue }
            let order = Order(producer: send.producer, partition: state.okPartition)
            if let before = last[order], before.offset > state.okOffset {
                list.add(.orderInversion, before.event, send.event)
            } else {
                last[order] = PartitionState.Mark(offset: state.okOffset, event: send.event)
            }
        }
    }
}
