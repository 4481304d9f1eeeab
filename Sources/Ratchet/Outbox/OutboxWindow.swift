import DequeModule
import HeapModule

/// Which messages of the outbox are sent next: the relay's pure core.
///
/// It knows where messages lie and holds none of their bytes, so that those which the sink refuses may be as many as
/// the outbox holds. A lane one of whose messages has failed is *held*: its messages wait in it until it is due, and
/// all others pass.
struct OutboxWindow {
    struct Limits: Hashable, Sendable {
        /// The most messages in one send.
        var messages: Int
        /// The most bytes in one send; a single message may have more.
        var bytes: Int
        /// The most messages that it knows of: no more are read until some of them are confirmed.
        var known: Int
    }

    private struct Lane {
        var waiting = Deque<OutboxItem>()
        /// How often its first message has failed.
        var failures = 0
    }

    private struct Entry {
        var messages = 0
        var confirmed = 0
    }

    private struct Due: Comparable {
        var time: Int64
        var order: Int
        var lane: UInt64
        static func < (a: Due, b: Due) -> Bool { (a.time, a.order) < (b.time, b.order) }
    }

    private struct Choice {
        var items: [OutboxItem] = []
        var bytes = 0
    }

    private let limits: Limits
    /// Read and not looked at, in the order of the outbox.
    private var fresh = Deque<OutboxItem>()
    private var held: [UInt64: Lane] = [:]
    /// One for each held lane, unless messages of it are being sent.
    private var dues = Heap<Due>()
    private var lastOrder = 0
    private var entries: [UInt64: Entry] = [:]
    private var known = 0
    private var isRetriesTurn = false
    /// The first entry that is not read yet.
    private(set) var next: UInt64 = 1
    /// Messages that are confirmed and will be sent again by a successor, since their entries have others.
    private(set) var repeatable = 0

    init(limits: Limits) { self.limits = limits }

    /// Whether more of the outbox may be read.
    var hasRoom: Bool { fresh.count < limits.messages && known < limits.known }

    /// Whether a message has failed and is not confirmed since.
    var holdsLanes: Bool { !held.isEmpty }

    /// When the next held lane is due.
    var nextDue: Int64? { dues.min?.time }

    /// Takes in all messages of the entries that were read from ``next`` on.
    mutating func take(_ items: [OutboxItem]) {
        for item in items { entries[item.entry, default: Entry()].messages += 1 }
        fresh.append(contentsOf: items)
        known += items.count
        if let last = items.last { next = last.entry + 1 }
    }

    /// The messages to send at `now`, those of a lane in order; they are out of the window until ``sent(_:failed:retryAt:)``
    /// is told of them.
    mutating func sendable(at now: Int64) -> [OutboxItem] {
        var choice = Choice()
        // In turns, so that neither can keep the others waiting for ever.
        isRetriesTurn.toggle()
        if isRetriesTurn {
            chooseDue(at: now, &choice)
            chooseFresh(&choice)
        } else {
            chooseFresh(&choice)
            chooseDue(at: now, &choice)
        }
        return choice.items
    }

    private mutating func chooseFresh(_ choice: inout Choice) {
        while choice.items.count < limits.messages, let item = fresh.first {
            if held[item.lane] != nil {
                held[item.lane]!.waiting.append(item)
            } else if !choose(item, &choice) {
                return
            }
            fresh.removeFirst()
        }
    }

    private mutating func chooseDue(at now: Int64, _ choice: inout Choice) {
        while choice.items.count < limits.messages, let due = dues.min, due.time <= now {
            // Until its first message is confirmed, those behind it would be sent in vain.
            var left = held[due.lane]!.failures > 0 ? 1 : held[due.lane]!.waiting.count
            let before = choice.items.count
            while left > 0, choice.items.count < limits.messages, choose(held[due.lane]!.waiting[0], &choice) {
                held[due.lane]!.waiting.removeFirst()
                left -= 1
            }
            if choice.items.count == before { return }
            dues.removeMin()
        }
    }

    private func choose(_ item: OutboxItem, _ choice: inout Choice) -> Bool {
        guard choice.items.isEmpty || choice.bytes + Int(item.size) <= limits.bytes else { return false }
        choice.items.append(item)
        choice.bytes += Int(item.size)
        return true
    }

    /// The messages that were chosen were sent: those in `failed` (places in `chosen`) wait until `retryAt` tells, all
    /// others are confirmed. Returns the entries that are done with.
    mutating func sent(
        _ chosen: [OutboxItem],
        failed: Set<Int>,
        retryAt: (_ failures: Int) -> Int64
    ) -> [UInt64] {
        var done: [UInt64] = []
        for (place, item) in chosen.enumerated() where !failed.contains(place) {
            held[item.lane]?.failures = 0
            if confirm(item) { done.append(item.entry) }
        }
        guard !failed.isEmpty || !held.isEmpty else { return done }
        var failedLanes: Set<UInt64> = []
        // The last one first: each goes before what waits behind it.
        for (place, item) in chosen.enumerated().reversed() where failed.contains(place) {
            // Most hold one message, and there may be many: a new one gets no room for more.
            if held[item.lane]?.waiting.prepend(item) == nil { held[item.lane] = Lane(waiting: [item]) }
            failedLanes.insert(item.lane)
        }
        var seen: Set<UInt64> = []
        for item in chosen where held[item.lane] != nil && seen.insert(item.lane).inserted {
            arm(item.lane, failed: failedLanes.contains(item.lane), retryAt)
        }
        return done
    }

    private mutating func arm(_ lane: UInt64, failed: Bool, _ retryAt: (Int) -> Int64) {
        if held[lane]!.waiting.isEmpty {
            held[lane] = nil
            return
        }
        var time = Int64.min
        if failed {
            held[lane]!.failures += 1
            time = retryAt(held[lane]!.failures)
        }
        lastOrder += 1
        dues.insert(Due(time: time, order: lastOrder, lane: lane))
    }

    /// Whether the message was its entry's last one.
    private mutating func confirm(_ item: OutboxItem) -> Bool {
        known -= 1
        repeatable += 1
        entries[item.entry]!.confirmed += 1
        guard let entry = entries[item.entry], entry.confirmed == entry.messages else { return false }
        repeatable -= entry.messages
        entries[item.entry] = nil
        return true
    }
}
