import DequeModule
import HeapModule

/// Which message runs next, which waits, and what goes to the ledger: the pipeline's pure core.
///
/// It does no I/O, reads no clock and starts no task. A message is *ready* once it may run; *running* while a worker
/// has it; *settling* when its result goes to the ledger; gone when that is durable. With ``Execution/inWriter``
/// handlers run in the ledger's transaction, so what is ready is settling at once.
///
/// Lanes keep the order: a lane runs one message at a time, and what comes after a failed one waits behind it. A lane
/// whose message failed *in the writer* is blocked there as well, because later ones of it may be on their way: they
/// come back deferred, and only when all have come back is the lane tried again.
package struct Scheduler {
    /// Where handlers run.
    package enum Execution: Hashable, Sendable {
        case inWriter
        case inTasks
    }

    package struct Limits: Hashable, Sendable {
        package var partitionMessages: Int
        package var messages: Int
        package var bytes: Int
        package var pieceMessages: Int
        package var pieces: Int
        /// How long, in nanoseconds, messages may wait for more to share their transaction while others are ready to run,
        /// or come fast.
        package var linger: Deadline = 0
        /// After so many that the ledger took without a break, more are expected to come fast.
        package var burst = 256
    }

    /// What the shell has to do.
    package enum Action: Hashable, Sendable {
        case pause(TopicPartition)
        case resume(TopicPartition)
        /// Everything of the partition in this slot is settled or let go.
        case drained(slot: Int)
        /// Nothing of the partition in this slot is in flight; see ``Scheduler/awaitIdle(slot:)``.
        case idle(slot: Int)
    }

    struct Partition {
        var lease: PartitionLease
        var inFlight = 0
        var inFlightBytes = 0
        var isPaused = false
        var isDraining = false
        var isAwaited = false
    }

    struct HeldLane {
        var entries: [SettlementEntry]
        var slot: Int
        var due: Deadline
        /// The last piece that may hold messages of the lane.
        var piece: Int
        var isRunning: Bool
    }

    struct Due: Comparable {
        var time: Deadline
        var order: Int
        var lane: UInt64
        static func < (a: Due, b: Due) -> Bool { (a.time, a.order) < (b.time, b.order) }
    }

    package typealias Deadline = Int64

    let execution: Execution
    let ordering: Ordering
    let limits: Limits
    var partitions: [Int: Partition] = [:]
    var slots: [Int] = []
    var nextSlot = 0
    var ready = Deque<SettlementEntry>()
    /// How many messages are handed out ahead of the workers: started by our count, and ready to run by theirs.
    package var handedOut = 0
    var lanes: [UInt64: Deque<SettlementEntry>] = [:]
    var held: [UInt64: HeldLane] = [:]
    /// Lanes of messages that stop the pipeline.
    var stoppedLanes: Set<UInt64> = []
    var dues = Heap<Due>()
    var dueOrder = 0
    var returning: [(piece: Int, lane: UInt64)] = []
    var waiting: [Int: SettlementEntry] = [:]
    var settling: [SettlementEntry] = []
    var lingerUntil: Deadline?
    /// Where handlers run in the writer: when what waits goes to the ledger, though more comes.
    var lingerLimit: Deadline = 0
    /// How many messages have gone to the ledger since it last had none of ours, and when it had none again.
    var countSinceIdle = 0
    var idleSince: Deadline = 0
    var now: Deadline = 0
    var inFlight = 0
    var inFlightBytes = 0
    var lastPiece = 0
    var returnedPiece = 0
    var isFull = false
    /// A piece was not written: nothing starts or goes to the ledger any more.
    var hasFailed = false
    var actions: [Action] = []
    var releasedClaims: [UInt64] = []

    package init(execution: Execution, ordering: Ordering, limits: Limits) {
        self.execution = execution
        self.ordering = ordering
        self.limits = limits
    }

    /// The time of the events that follow.
    package mutating func observe(_ now: Deadline) { self.now = max(self.now, now) }

    /// What the events since the last call ask the shell to do, in order.
    package mutating func takeActions() -> [Action] {
        guard !actions.isEmpty else { return [] }
        defer { actions.removeAll() }
        return actions
    }

    /// The number that the next lease is to carry.
    package mutating func reserveSlot() -> Int {
        nextSlot += 1
        return nextSlot
    }

    /// Begins with a partition.
    package mutating func add(_ lease: PartitionLease) {
        partitions[lease.slot] = Partition(lease: lease)
        slots.append(lease.slot)
    }

    /// Ends with a partition: what is left of it is somebody else's now.
    package mutating func remove(slot: Int) {
        dropUnstarted(slot: slot)
        if let partition = partitions.removeValue(forKey: slot) {
            inFlight -= partition.inFlight
            inFlightBytes -= partition.inFlightBytes
            if partition.isAwaited { actions.append(.idle(slot: slot)) }
        }
        slots.removeAll { $0 == slot }
        balance()
    }

    /// The lease of a partition that is assigned now.
    package func lease(of partition: TopicPartition) -> PartitionLease? {
        for slot in slots {
            if let lease = partitions[slot]?.lease, lease.partition == partition { return lease }
        }
        return nil
    }

    /// Whether nothing more of a partition is to be delivered for now; nil if it is not assigned.
    package func isPaused(_ partition: TopicPartition) -> Bool? {
        lease(of: partition).flatMap { partitions[$0.slot]?.isPaused }
    }

    /// Whether a partition is assigned and not being given back.
    package func isRunning(slot: Int) -> Bool { partitions[slot]?.isDraining == false }

    /// Ends in ``Action/idle(slot:)`` once all that is in flight of the partition is settled or let go, or the partition is
    /// gone.
    package mutating func awaitIdle(slot: Int) {
        guard let partition = partitions[slot], partition.inFlight > 0 else { return actions.append(.idle(slot: slot)) }
        partitions[slot]!.isAwaited = true
    }

    /// The leases of all partitions, in the order of assignment.
    package var leases: [PartitionLease] { slots.compactMap { partitions[$0]?.lease } }

    /// How many messages of a partition are in flight.
    package func inFlight(slot: Int) -> Int { partitions[slot]?.inFlight ?? 0 }

    /// The window is full (or no longer): nothing more is taken in.
    package mutating func setFull(_ full: Bool) {
        isFull = full
        balance()
    }

    func lane(of entry: SettlementEntry) -> UInt64 { ordering.lane(of: entry) }
}

// MARK: Intake

extension Scheduler {
    /// Takes messages of a batch in, from the first on and with none left out; in parts, so that nobody waits for long.
    /// What is not taken in, because its partition is draining or gone or the ledger has failed, will be delivered
    /// again.
    package mutating func admit(_ batch: KeyedBatch, _ range: Range<Int>) {
        let slot = batch.lease.slot
        guard let partition = partitions[slot] else { return }
        let isOpen = !partition.isDraining && !hasFailed
        if isOpen, range.lowerBound == 0 {
            batch.isAdmitted = true
            partitions[slot]!.inFlight += batch.messages.count
            partitions[slot]!.inFlightBytes += batch.messages.byteCount
            inFlight += batch.messages.count
            inFlightBytes += batch.messages.byteCount
        }
        guard batch.isAdmitted else { return }
        if isOpen {
            if execution == .inWriter { lingerForMore() }
            for index in range { admit(SettlementEntry(batch: batch, index: Int32(index))) }
        } else {
            release(range.count, of: batch)
        }
        balance()
    }

    private mutating func admit(_ new: SettlementEntry) {
        var entry = new
        if let fault = entry.batch.faults[Int(entry.index)] {
            entry.result = .givenUp(.deadLetter(fault.reason, fault.error))
            entry.isFault = true
            settling.append(entry)
        } else if execution == .inWriter, held.isEmpty {
            settling.append(entry)
        } else {
            enqueue(entry)
        }
    }

    private mutating func enqueue(_ entry: SettlementEntry) {
        let lane = lane(of: entry)
        if held[lane] != nil {
            held[lane]!.entries.append(entry)
        } else if execution == .inWriter {
            settling.append(entry)
        } else if lanes[lane] != nil {
            lanes[lane]!.append(entry)
        } else {
            lanes[lane] = Deque()
            ready.append(entry)
        }
    }

    /// Pauses what has too much in flight and resumes what has room again.
    mutating func balance() {
        let over = isFull || inFlight >= limits.messages || inFlightBytes >= limits.bytes
        let under = !isFull && inFlight <= limits.messages / 2 && inFlightBytes <= limits.bytes / 2
        for slot in slots {
            guard let partition = partitions[slot], !partition.isDraining else { continue }
            if !partition.isPaused, over || partition.inFlight >= limits.partitionMessages {
                partitions[slot]!.isPaused = true
                actions.append(.pause(partition.lease.partition))
            } else if partition.isPaused, under, partition.inFlight <= limits.partitionMessages / 2 {
                partitions[slot]!.isPaused = false
                actions.append(.resume(partition.lease.partition))
            }
        }
    }
}
