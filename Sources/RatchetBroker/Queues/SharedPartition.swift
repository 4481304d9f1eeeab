import DequeModule

/// What a shared group knows of one partition: which messages are settled, which are out, and how often each was
/// delivered. A pure value, bounded by the spread: offsets are looked at one by one only from the first one that is not
/// settled to the last one that was delivered.
struct SharedPartition: Sendable {
    /// A consumer's number: rises with each, never used again in the group.
    typealias ConsumerID = Int64

    /// How many messages may be delivered before the next sync says that they may have been.
    static let stride: Int64 = 1024

    private enum State: Equatable {
        case available
        case held(ConsumerID)
        /// On its way to the dead-letter topic; written there in a transaction that is not durable yet.
        case leaving(isWritten: Bool)
        case settled
    }

    private struct Slot {
        var state = State.available
        var count: UInt16 = 0
    }

    /// A message that is handed out.
    struct Taken: Equatable {
        var offset: Int64
        /// How often it was delivered, this time included.
        var count: Int
        /// False only if it was never delivered before, also by a process that crashed.
        var isRedelivered: Bool
    }

    /// Everything below is settled.
    private(set) var settled: Int64
    /// From ``settled`` to the last one that was delivered.
    private var slots: Deque<Slot> = []
    /// Available ones among them, in order.
    private var returned: Deque<Int64> = []
    /// Where the log ends.
    private var end: Int64
    /// The disk says that what lies below may have been delivered.
    private var mark: Int64
    /// What the next row is to say.
    private var wantedMark: Int64
    /// What lies below may have been delivered before the group was opened.
    private let openedMark: Int64
    /// Whether the row differs from what was written last.
    private(set) var isDirty = false

    /// A partition as its row says, or untouched from the log's start on.
    init(_ row: SharedRow?, log: Range<Int64>) {
        settled = row?.settled ?? log.lowerBound
        end = log.upperBound
        mark = row?.mark ?? settled
        wantedMark = mark
        openedMark = mark
        for (index, count) in (row?.slots ?? []).enumerated() {
            switch count {
            case nil: slots.append(Slot(state: .settled))
            case let count?:
                slots.append(Slot(count: count))
                returned.append(settled + Int64(index))
            }
        }
        advance()
        observe(log)
        isDirty = false
    }

    /// The first offset that was never delivered.
    private var next: Int64 { settled + Int64(slots.count) }

    /// How many messages can be handed out now; some of them may turn out not to exist.
    func ready(spread: Int) -> Int { returned.count + fresh(spread: spread) }

    private func fresh(spread: Int) -> Int {
        let limit = min(end, mark, settled + Int64(spread))
        return max(0, Int(limit - next))
    }

    /// Whether messages wait only for the disk to say that they may have been delivered.
    func isHeldByMark(spread: Int) -> Bool { next >= mark && next < min(end, settled + Int64(spread)) }

    /// The log's range as it is now. What retention has removed is settled.
    mutating func observe(_ log: Range<Int64>) {
        end = max(end, log.upperBound)
        skip(to: log.lowerBound)
    }

    /// Whether there are messages here that a log which ends there cannot have.
    func reaches(beyond end: Int64) -> Bool { next > end }

    /// An unclean election has cut the log: it ends there, and what comes at the offsets behind is new.
    mutating func cut(to end: Int64) {
        guard reaches(beyond: end) else { return }
        slots.removeLast(min(slots.count, Int(clamping: next - end)))
        settled = min(settled, end)
        returned.removeAll { $0 >= end }
        self.end = end
        isDirty = true
    }

    /// Hands out up to `count` messages: first those that came back, in the log's order.
    mutating func take(_ count: Int, for consumer: ConsumerID, spread: Int) -> [Taken] {
        var taken: [Taken] = []
        while taken.count < count, let offset = returned.popFirst() { taken.append(hold(offset, consumer)) }
        for _ in 0..<min(count - taken.count, fresh(spread: spread)) {
            slots.append(Slot())
            taken.append(hold(next - 1, consumer))
        }
        return taken
    }

    private mutating func hold(_ offset: Int64, _ consumer: ConsumerID) -> Taken {
        let index = Int(offset - settled)
        let isRedelivered = slots[index].count > 0 || offset < openedMark
        slots[index].state = .held(consumer)
        if slots[index].count < SharedRow.maximumCount { slots[index].count += 1 }
        return Taken(offset: offset, count: Int(slots[index].count), isRedelivered: isRedelivered)
    }

    /// How often the message was delivered; nil if it is not the consumer's.
    func count(of offset: Int64, heldBy consumer: ConsumerID) -> Int? {
        guard let index = index(of: offset), slots[index].state == .held(consumer) else { return nil }
        return Int(slots[index].count)
    }

    /// What came back and was delivered so often or more, in order.
    func exhausted(_ limit: Int) -> [(offset: Int64, count: Int)] {
        returned.compactMap { offset in
            let count = Int(slots[Int(offset - settled)].count)
            return count >= limit ? (offset, count) : nil
        }
    }

    /// The message is done with, for ever.
    mutating func settle(_ offset: Int64) {
        guard let index = index(of: offset) else { return }
        set(.settled, at: index)
        isDirty = true
        advance()
    }

    /// The message can be delivered again. `isCounted` is false if it was not delivered after all.
    mutating func giveBack(_ offset: Int64, isCounted: Bool = true) {
        guard let index = index(of: offset), slots[index].state != .available else { return }
        if !isCounted, slots[index].count > 0 { slots[index].count -= 1 }
        set(.available, at: index)
        isDirty = true
    }

    /// The message goes to the dead-letter topic: nobody gets it, and it is not settled.
    mutating func leave(_ offset: Int64) {
        if let index = index(of: offset) { set(.leaving(isWritten: false), at: index) }
    }

    /// Whether the message is on its way there.
    func isLeaving(_ offset: Int64) -> Bool {
        guard let index = index(of: offset), case .leaving = slots[index].state else { return false }
        return true
    }

    /// It was appended there in the transaction that writes the next row: the row says that it is settled.
    mutating func left(_ offset: Int64) {
        guard isLeaving(offset), let index = index(of: offset) else { return }
        set(.leaving(isWritten: true), at: index)
        isDirty = true
    }

    /// There are no messages at these offsets.
    mutating func absent(_ offsets: Range<Int64>, spread: Int) {
        isDirty = true
        for offset in offsets.clamped(to: settled..<next) { set(.settled, at: Int(offset - settled)) }
        advance()
        guard next < offsets.upperBound, offsets.lowerBound <= next else { return }
        if slots.isEmpty { return skip(to: offsets.upperBound) }
        // The rest is found once there is room.
        while next < offsets.upperBound, slots.count < spread { slots.append(Slot(state: .settled)) }
    }

    private mutating func skip(to offset: Int64) {
        guard offset > settled else { return }
        isDirty = true
        while let first = returned.first, first < offset { returned.removeFirst() }
        slots.removeFirst(min(slots.count, Int(clamping: offset - settled)))
        settled = offset
        end = max(end, offset)
        mark = max(mark, offset)
        wantedMark = max(wantedMark, mark)
        advance()
    }

    private mutating func advance() {
        while slots.first?.state == .settled {
            slots.removeFirst()
            settled += 1
        }
    }

    private mutating func set(_ state: State, at index: Int) {
        let offset = settled + Int64(index)
        let place = place(of: offset)
        if slots[index].state == .available, place < returned.count, returned[place] == offset {
            returned.remove(at: place)
        }
        slots[index].state = state
        if state == .available { returned.insert(offset, at: place) }
    }

    /// Where the offset is among those that came back, or belongs.
    private func place(of offset: Int64) -> Int {
        var (low, high) = (0, returned.count)
        while low < high {
            let middle = (low + high) / 2
            if returned[middle] < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func index(of offset: Int64) -> Int? {
        offset >= settled && offset < next ? Int(offset - settled) : nil
    }
}

// MARK: - The row

extension SharedPartition {
    /// Has the next row say that more may have been delivered, if messages wait for that.
    mutating func raiseMark(spread: Int) {
        guard isHeldByMark(spread: spread), wantedMark == mark else { return }
        wantedMark = next + Self.stride
        isDirty = true
    }

    /// Has the next row say that nothing was delivered beyond what was: for when nothing is under way.
    mutating func lowerMark() {
        let delivered = max(next, openedMark)
        guard mark > delivered else { return }
        mark = delivered
        wantedMark = delivered
        isDirty = true
    }

    /// What is to be written now; the partition counts as written.
    mutating func takeRow() -> SharedRow {
        isDirty = false
        return SharedRow(
            settled: settled,
            mark: max(wantedMark, next),
            slots: slots.map { slot in
                switch slot.state {
                case .settled, .leaving(isWritten: true): nil
                case .available, .held, .leaving(isWritten: false): slot.count
                }
            }
        )
    }

    /// That row is on the disk.
    mutating func persisted(_ row: SharedRow) { mark = max(mark, min(row.mark, wantedMark)) }

    /// That row was not written.
    mutating func notPersisted() { isDirty = true }

    /// The most offsets that are kept one by one; for tests.
    var span: Int { slots.count }
}
