/// Which messages of the outbox may be sent now: the relay's pure core.
///
/// It holds a bounded part of the outbox in memory. Messages of one key go out one after the other: while one has
/// failed and waits, those behind it wait too, and all others pass.
struct OutboxWindow {
    /// A message that is not confirmed yet.
    struct Item: Sendable {
        var entry: UInt64
        /// Its place in ``batch``.
        var index: Int
        var lane: UInt64
        var attempts = 0
        var due: Int64 = 0
    }

    private(set) var batch = OutgoingBatch()
    private(set) var items: [Item] = []
    private var unconfirmed: [UInt64: Int] = [:]
    private(set) var next: UInt64 = 1
    let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Whether more of the outbox may be read.
    var hasRoom: Bool { items.count < limit }

    /// Takes in what was read from ``next`` on.
    mutating func take(_ entries: [(entry: UInt64, count: Int)], from read: OutgoingBatch) {
        var index = 0
        for (entry, count) in entries {
            for _ in 0..<count {
                items.append(Item(entry: entry, index: batch.count, lane: Self.lane(of: index, in: read)))
                batch.append(entry: index, of: read)
                index += 1
            }
            unconfirmed[entry] = count
            next = entry + 1
        }
    }

    /// The messages to send at `now`, in order, `limit` at the most; and when the next one is due if that is none.
    func sendable(at now: Int64, limit: Int) -> (items: [Int], due: Int64?) {
        var held: Set<UInt64> = []
        var chosen: [Int] = []
        var due: Int64?
        for (number, item) in items.enumerated() {
            if chosen.count == limit { break }
            if held.contains(item.lane) { continue }
            if item.due > now {
                held.insert(item.lane)
                due = min(due ?? item.due, item.due)
            } else {
                chosen.append(number)
            }
        }
        return (chosen, due)
    }

    /// The messages of `chosen` were sent: those in `failed` (places in `chosen`) wait until `retryAt` tells, all
    /// others are confirmed. Returns the entries that are done with.
    mutating func sent(_ chosen: [Int], failed: Set<Int>, retryAt: (_ attempts: Int) -> Int64) -> [UInt64] {
        var done: [UInt64] = []
        var confirmed = Set<Int>(minimumCapacity: chosen.count)
        for (place, number) in chosen.enumerated() {
            if failed.contains(place) {
                items[number].attempts += 1
                items[number].due = retryAt(items[number].attempts)
            } else {
                confirmed.insert(number)
                let entry = items[number].entry
                unconfirmed[entry]! -= 1
                if unconfirmed[entry] == 0 {
                    unconfirmed[entry] = nil
                    done.append(entry)
                }
            }
        }
        if confirmed.count == items.count {
            items.removeAll(keepingCapacity: true)
            batch.removeAll()
        } else {
            items = items.indices.filter { !confirmed.contains($0) }.map { items[$0] }
            compact()
        }
        return done
    }

    // What stays is copied together, so that the memory is bounded by what is unconfirmed.
    private mutating func compact() {
        var rest = OutgoingBatch()
        for number in items.indices {
            rest.append(entry: items[number].index, of: batch)
            items[number].index = rest.count - 1
        }
        batch = rest
    }

    private static func lane(of index: Int, in batch: OutgoingBatch) -> UInt64 {
        let entry = batch.entries[index]
        let topic = batch.topics[Int(entry.topic)]
        let seed = Array(topic.utf8).withUnsafeBytes {
            Checksum.xxh64($0, seed: UInt64(bitPattern: Int64(entry.partition)))
        }
        return batch.withKey(of: index) { key in
            if let key { return Checksum.xxh64(key, seed: seed) }
            // Without a key there is no order to keep, unless the partition was chosen.
            guard entry.partition < 0 else { return seed }
            return withUnsafeBytes(of: entry.start) { Checksum.xxh64($0, seed: ~seed) }
        }
    }
}
