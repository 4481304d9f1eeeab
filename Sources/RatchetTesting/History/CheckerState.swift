/// What is known of one message.
struct MessageState: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt16
        static let sending = Flags(rawValue: 1)
        static let ok = Flags(rawValue: 2)
        static let failed = Flags(rawValue: 4)
        static let unknown = Flags(rawValue: 8)
        static let appended = Flags(rawValue: 16)
        static let effect = Flags(rawValue: 32)
        static let deadLetter = Flags(rawValue: 64)
        /// Done once, for ever: had its effect, was dead-lettered or skipped.
        static let settled = Flags(rawValue: 128)
        static let falseSkip = Flags(rawValue: 256)
        /// A handler called it done.
        static let claimed = Flags(rawValue: 512)
        static let replayed = Flags(rawValue: 1024)
        /// Of its records one is backlog, one was to be handled, one was given up: found at the end.
        static let backlog = Flags(rawValue: 2048)
        static let due = Flags(rawValue: 4096)
        static let givenUp = Flags(rawValue: 8192)
        static let phantom = Flags(rawValue: 16384)
        /// Reported as lost, or as absent from the log.
        static let gone = Flags(rawValue: 32768)
    }

    var flags: Flags = []
    var okPartition: UInt16 = .max
    var copies: UInt32 = 0
    /// Of its sends: those that failed for sure.
    var refused: UInt32 = 0
    var acks: UInt32 = 0
    var okEvent: UInt32 = .max
    var firstDelivery: UInt32 = .max
    var lastDelivery: UInt32 = .max
    var ackEvent: UInt32 = .max
    /// The commit or ack that let go of it before it was done.
    var passedBy: UInt32 = .max
    var okOffset: Int64 = -1
    /// Its last effect or dead letter: the event, its number among all of them, when and from where.
    var settleEvent: UInt32 = .max
    var settleNumber: UInt32 = 0
    var settleTime: Int64 = 0
    var settleOffset: Int64 = -1
    var settlePartition: UInt16 = .max
    var settledByEffect = false
    /// Reprocessing up to this event has been allowed for.
    var upToDate: UInt32 = 0
}

/// What is known of one partition.
struct PartitionState: Sendable {
    struct Mark: Sendable {
        let offset: Int64
        let event: UInt32
    }

    /// Offsets that a delivery jumped over.
    struct Gap: Sendable {
        let range: Range<Int64>
        let event: UInt32
    }

    let kind: PartitionKind
    var table = RecordTable()
    var known = KnownRecords()
    var generation: UInt32 = 0
    var assignment: UInt32 = .max
    /// The offset behind the last one that the newest generation was given; -1 if that is not known.
    var position: Int64 = -1
    var gaps: [Gap] = []
    /// The last commit, as the next is compared with it; none behind a seek.
    var lastCommit: Mark?
    /// Commits that went further than all before them: offsets and events both rise.
    var commits: [Mark] = []
    /// All below has been passed by a commit or an operator.
    var passed: Int64 = 0
    /// Seeks that no later one to a lower or equal offset covers: offsets and events both rise.
    var seeks: [Mark] = []
    /// The reprocessing among them, in the same way.
    var reprocesses: [Mark] = []
    /// What operators passed over: disjoint, rising.
    var givenUp: [Range<Int64>] = []
    var end: Mark?

    init(kind: PartitionKind) { self.kind = kind }

    /// Whether an operator wants it done again, by an event after `event`.
    func isReprocessed(_ offset: Int64, since event: UInt32) -> Bool {
        Self.reaches(offset, reprocesses, since: event)
    }

    /// Whether an operator has set the position to the offset or before it, by an event after `event`.
    func isSought(_ offset: Int64, since event: UInt32) -> Bool { Self.reaches(offset, seeks, since: event) }

    private static func reaches(_ offset: Int64, _ marks: [Mark], since event: UInt32) -> Bool {
        let at = marks.firstIndex(past: { $0.offset > offset })
        return at > 0 && marks[at - 1].event > event
    }

    func isGivenUp(_ offset: Int64) -> Bool {
        let at = givenUp.firstIndex(past: { $0.upperBound > offset })
        return at < givenUp.count && givenUp[at].contains(offset)
    }

    /// Nothing from `offset` on counts as passed any more.
    mutating func reopen(from offset: Int64) {
        guard offset < passed else { return }
        passed = offset
        commits.removeLast(while: { $0.offset > offset })
        givenUp.removeLast(while: { $0.lowerBound >= offset })
        if let last = givenUp.popLast() { givenUp.append(last.lowerBound..<min(last.upperBound, offset)) }
        known.reopen(from: offset)
    }

    /// Whether the log holds the record, as far as the history tells.
    func exists(_ record: Record, at offset: Int64) -> Bool {
        guard record.flags.isDisjoint(with: [.aborted, .removed]) else { return false }
        guard let end else { return !record.flags.isDisjoint(with: .known) }
        return record.flags.contains(.appended) && offset < end.offset
    }
}

/// The handlers of one ordered key.
struct KeyState: Sendable {
    struct Run: Sendable {
        var event: UInt32 = .max
        var message: UInt32 = .max
        var generation: UInt32 = 0
    }

    /// One that was running when another generation's began: it may have died.
    struct Displaced: Sendable {
        let run: Run
        /// The beginning that displaced it.
        let by: UInt32
    }

    private static let maximumDisplaced = 8

    var running = Run()
    /// The last few, oldest first.
    private(set) var displaced: [Displaced] = []

    mutating func displaceRunning(by event: UInt32) {
        if displaced.count == Self.maximumDisplaced { displaced.removeFirst() }
        displaced.append(Displaced(run: running, by: event))
    }

    /// Takes out the one that this event ends.
    mutating func endDisplaced(_ event: History.Event) -> Displaced? {
        displaced.lastIndex { $0.run.isEnd(event) }.map { displaced.remove(at: $0) }
    }
}

/// One send, in the order of the sends.
struct SendState: Sendable {
    let event: UInt32
    let producer: UInt32
    let message: UInt32
}

/// A message that a commit or ack let go of before it was done.
struct PassedMessage: Sendable {
    let by: UInt32
    let message: UInt32
    let named: UInt32
    let partition: UInt16
    /// -1 for an ack.
    let offset: Int64
    let wasClaimed: Bool
    /// The log was known to hold it then.
    let wasThere: Bool
}

extension Array {
    /// Where the first element is for which `isPast` is true, as it is for all behind it; the count if there is none.
    func firstIndex(past isPast: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isPast(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Removes the elements at the end for which `isOver` is true.
    mutating func removeLast(while isOver: (Element) -> Bool) {
        while let last, isOver(last) { removeLast() }
    }
}
