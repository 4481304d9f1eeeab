/// Finds in a history what never may happen: lost and repeated effects, premature commits, zombies and the like. See
/// ``Finding/Kind-swift.enum`` for each of them.
///
/// A pure value that takes one event after another, in one pass. Its memory follows the history: about 100 bytes for each
/// message, 50 for each record of a log, and up to 300 for a record whose offset lies far from all others.
public struct HistoryChecker: Sendable {
    /// How long a repeat of an effect counts as a duplicate: while both limits hold. Later ones are legal, and counted.
    ///
    /// The same record of a log is known by its offset, and may never have its effect again.
    public struct Window: Hashable, Sendable {
        /// A repeat counts while at most this many effects and dead letters, itself included, came since; nil: always.
        public var count: Int?
        /// A repeat counts while at most this much time has gone by; nil: always.
        public var time: Duration?

        /// A window of `count` (1 or more) effects and of `time`, whichever ends first. Default: no end.
        public init(count: Int? = nil, time: Duration? = nil) {
            self.count = count
            self.time = time
        }
    }

    let windowCount: UInt32
    let windowTime: Int64
    var list: FindingList
    var counts = HistoryReport.Counts()
    var messages: [MessageState]
    var partitions: [PartitionState]
    var keys: [KeyState]
    var sends: [SendState] = []
    var passedMessages: [PassedMessage] = []
    /// The number of the next event.
    var next: UInt32 = 0
    var settlements: UInt32 = 0
    var isDrained = false

    /// Checks a whole history, in one pass. At most `limit` findings of each kind are listed, 100 by default; all are
    /// counted.
    public static func check(_ history: History, window: Window = Window(), limit: Int = 100) -> HistoryReport {
        var checker = HistoryChecker(history, window: window, limit: limit)
        for event in history.events { checker.take(event) }
        return checker.report(history)
    }

    /// A checker for the events of `history`, whose names it needs to know how many there are.
    init(_ history: History, window: Window, limit: Int) {
        windowCount = window.count.map { UInt32(clamping: $0) } ?? .max
        windowTime = window.time.map(Self.nanoseconds) ?? .max
        list = FindingList(limit: max(0, limit))
        messages = [MessageState](repeating: MessageState(), count: history.messageCount)
        partitions = history.kinds.map { PartitionState(kind: $0) }
        keys = [KeyState](repeating: KeyState(), count: history.keyCount)
    }

    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
    }

    /// Takes the next event.
    mutating func take(_ event: History.Event) {
        defer { next += 1 }
        let isMessage = Int(event.message.number) < messages.count
        if Int(event.partition.number) < partitions.count {
            if isMessage { takeOfBoth(event) } else { takeOfPartition(event) }
        } else if isMessage {
            takeOfMessage(event)
        } else if event.kind == .drained {
            isDrained = true
        }
    }

    private mutating func takeOfMessage(_ event: History.Event) {
        switch event.kind {
        case .sending: sending(event)
        case .sentFailed: sentFailed(event)
        case .sentUnknown: messages[Int(event.message.number)].flags.insert(.unknown)
        case .replayed: replayed(event)
        default: break
        }
    }

    private mutating func takeOfPartition(_ event: History.Event) {
        let partition = Int(event.partition.number)
        switch event.kind {
        case .assigned: assigned(event, partition)
        case .revoked: if event.generation == partitions[partition].generation { partitions[partition].position = -1 }
        case .seek: seek(event, partition)
        case .reprocess: reprocess(event, partition)
        case .committed: committed(event, partition)
        case .end: partitions[partition].end = PartitionState.Mark(offset: event.offset, event: next)
        default: break
        }
    }

    private mutating func takeOfBoth(_ event: History.Event) {
        let (message, partition) = (Int(event.message.number), Int(event.partition.number))
        switch event.kind {
        case .sentOK: sentOK(event, message, partition)
        case .appended: appended(event, message, partition)
        case .aborted: aborted(event, partition)
        case .removed: name(event, partition, .removed)
        case .delivered: delivered(event, message, partition)
        case .started: started(event)
        case .finished, .failed: ended(event)
        case .effect: settled(event, message, partition, byEffect: true)
        case .deadLettered: settled(event, message, partition, byEffect: false)
        case .skipped: skipped(event, message, partition)
        case .acked: acked(event, message, partition)
        default: break
        }
    }
}
