import DequeModule

/// One group of competing consumers over the partitions of a topic: who has which message, and what becomes of it.
/// Decides; does nothing else.
///
/// A message is one consumer's at a time, from its delivery until it is acked, rejected, or comes back; what comes back
/// is delivered again, in the log's order, before newer ones.
struct SharedGroup: Sendable {
    typealias ConsumerID = SharedPartition.ConsumerID
    typealias RequestID = UInt64

    struct Limits: Sendable {
        var spread: Int
        /// Nil for none.
        var deliveryLimit: Int?
        var hasDeadLetterTopic: Bool
        var maximumConsumers: Int
        var sessionTimeout: Duration
    }

    /// A message that a consumer is given.
    struct Delivery: Equatable, Sendable {
        /// Counts up within the consumer's channel, from 1.
        var tag: Int64
        var partition: Int
        var offset: Int64
        /// How often it was delivered, this time included.
        var count: Int
        var isRedelivered: Bool
    }

    /// A message that goes to the dead-letter topic.
    struct DeadLetter: Equatable, Sendable {
        enum Reason: String, Sendable { case rejected, deliveryLimit = "delivery-limit" }

        var partition: Int
        var offset: Int64
        var count: Int
        var reason: Reason
    }

    /// What one transaction writes.
    struct Write: Sendable {
        var rows: [(partition: Int, row: SharedRow)] = []
        /// Who waits for it.
        var requests: [RequestID] = []
    }

    enum Answer: Sendable {
        case ack
        /// What was answered before stays so.
        case ackAgain
        case reject
        case requeue
    }

    enum Event: Sendable {
        case join(ConsumerID, prefetch: Int, autoAck: Bool)
        /// The consumer waits for up to so many messages.
        case ask(ConsumerID, most: Int)
        case unask(ConsumerID)
        /// Answers all of the consumer's deliveries up to a tag, and these tags; nil for none up to one.
        case settle(ConsumerID, through: Int64?, tags: [Int64], Answer, RequestID)
        /// What was delivered under these tags could not be read, or nobody has begun with it.
        case unread(ConsumerID, tags: [Int64])
        /// There are no messages at these offsets: what the consumer was given under these tags is not there.
        case absent(ConsumerID, tags: [Int64], partition: Int, Range<Int64>)
        case leave(ConsumerID)
        /// The log's range, and where its leader's log ends, nil where that is not known.
        case log(partition: Int, Range<Int64>, leaderEnd: Int64? = nil)
        /// The topic has these partitions more.
        case added([SharedPartition])
        case persisted(Write)
        /// Nothing of it was written; nil for one that was asked for and not taken. It goes again with the next event:
        /// what has failed just now may fail again at once.
        case notPersisted(Write?)
        /// These have been appended to the dead-letter topic, in the transaction of the next write.
        case deadLetterWritten([DeadLetter])
        case deadLettered([DeadLetter])
        case notDeadLettered([DeadLetter])
        /// The consumer is alive.
        case seen(ConsumerID)
        /// Time has passed.
        case tick
    }

    enum Action: Sendable, Equatable {
        case deliver(ConsumerID, [Delivery])
        /// Have a transaction write what ``SharedGroup/takeWrite()`` says.
        case persist
        case confirm([RequestID])
        case refuse(RequestID, Refusal)
        /// Append these to the dead-letter topic; who has made the request waits for that.
        case deadLetter([DeadLetter], RequestID?)
        /// The consumer was silent for too long, and is none any more.
        case evicted(ConsumerID)
        /// What was delivered under these tags is gone, and what lies there now is another message.
        case withdraw(ConsumerID, tags: [Int64])
    }

    enum Refusal: Equatable, Sendable {
        /// The consumer is none any more: what it had is others'.
        case fenced
        case unknownTag(Int64)
        case settledTag(Int64)
    }

    struct Consumer {
        struct Held {
            /// No message's: what was there was cut off.
            static let gone: Int64 = -1

            let tag: Int64
            let partition: Int
            var offset: Int64
        }

        let id: ConsumerID
        let prefetch: Int
        let autoAck: Bool
        /// By rising tag.
        var held: Deque<Held> = []
        var nextTag: Int64 = 1
        /// How many messages it waits for, 0 when it does not wait.
        var asked = 0
        var seen: Duration

        var room: Int { min(asked, prefetch - held.count) }
    }

    var limits: Limits
    var partitions: [SharedPartition]
    /// In the order in which they came.
    var consumers: [Consumer] = []
    /// Who waits, first come first served.
    var waiting: Deque<ConsumerID> = []
    /// Who waits for a write that was not taken yet.
    var pending: [RequestID] = []
    private var turn = 0
    /// A write was asked for and not taken yet.
    private var isSubmitted = false
    /// Writes that were taken and have not come back.
    private var writes = 0

    /// A group without consumers, its partitions as their rows say.
    init(partitions: [SharedPartition], limits: Limits) {
        self.partitions = partitions
        self.limits = limits
    }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .join(let id, let prefetch, let autoAck):
            consumers.append(Consumer(id: id, prefetch: prefetch, autoAck: autoAck, seen: now))
            buryExhausted(&actions)
        case .ask(let id, let most): ask(id, most: most, now)
        case .unask(let id): unask(id, now)
        case .settle(let id, let through, let tags, let answer, let request):
            settle(id, through: through, tags: tags, answer, request, now, &actions)
        case .unread(let id, let tags): unread(id, tags)
        case .absent(let id, let tags, let partition, let offsets): absent(id, tags, partition, offsets)
        case .leave(let id): remove(id, &actions)
        case .log(let partition, let range, let leaderEnd):
            partitions[partition].observe(range)
            if let leaderEnd { cut(partition, to: leaderEnd, &actions) }
        case .added(let added): partitions += added
        case .persisted(let write):
            writes -= 1
            for (partition, row) in write.rows { partitions[partition].persisted(row) }
            if !write.requests.isEmpty { actions.append(.confirm(write.requests)) }
        case .notPersisted(let write):
            notPersisted(write)
            return []
        case .deadLetterWritten(let letters):
            for letter in letters { partitions[letter.partition].left(letter.offset) }
            return []
        case .deadLettered(let letters):
            for letter in letters where partitions[letter.partition].isLeaving(letter.offset) {
                partitions[letter.partition].settle(letter.offset)
            }
        case .notDeadLettered(let letters):
            for letter in letters where partitions[letter.partition].isLeaving(letter.offset) {
                partitions[letter.partition].giveBack(letter.offset)
            }
        case .seen(let id): if let index = index(of: id) { consumers[index].seen = now }
        case .tick: expire(now, &actions)
        }
        distribute(now, &actions)
        askForWrite(&actions)
        return actions
    }

    /// What the next transaction is to write. `isAsked` is false for a transaction that has more to write than
    /// ``Action/persist`` has asked for.
    mutating func takeWrite(isAsked: Bool = true) -> Write {
        if isAsked { isSubmitted = false }
        writes += 1
        var write = Write(requests: pending)
        pending = []
        for index in partitions.indices where partitions[index].isDirty {
            write.rows.append((index, partitions[index].takeRow()))
        }
        return write
    }

    private mutating func notPersisted(_ write: Write?) {
        guard let write else { return isSubmitted = false }
        writes -= 1
        for (partition, _) in write.rows { partitions[partition].notPersisted() }
        pending = write.requests + pending
    }

    /// Those who wait for a write that was not asked for since the last one failed.
    mutating func takeUnasked() -> [RequestID] {
        guard !isSubmitted else { return [] }
        defer { pending = [] }
        return pending
    }

    private mutating func askForWrite(_ actions: inout [Action]) {
        if consumers.isEmpty, writes == 0 {
            for index in partitions.indices { partitions[index].lowerMark() }
        }
        guard !isSubmitted, !pending.isEmpty || partitions.contains(where: { $0.isDirty }) else { return }
        isSubmitted = true
        actions.append(.persist)
    }

    // MARK: Handing out

    private mutating func ask(_ id: ConsumerID, most: Int, _ now: Duration) {
        guard let index = index(of: id) else { return }
        consumers[index].seen = now
        if consumers[index].asked == 0 { waiting.append(id) }
        consumers[index].asked = most
    }

    private mutating func unask(_ id: ConsumerID, _ now: Duration) {
        guard let index = index(of: id) else { return }
        consumers[index].seen = now
        consumers[index].asked = 0
        waiting.removeAll { $0 == id }
    }

    /// Shares what is there among those that wait and have room.
    private mutating func distribute(_ now: Duration, _ actions: inout [Action]) {
        guard !waiting.isEmpty else { return }
        for rest in stride(from: waiting.count, to: 0, by: -1) {
            let ready = partitions.reduce(0) { $0 + $1.ready(spread: limits.spread) }
            guard ready > 0, let id = waiting.popFirst(), let index = index(of: id) else { break }
            let share = (ready + rest - 1) / rest
            let deliveries = take(min(consumers[index].room, share), for: index)
            guard !deliveries.isEmpty else {
                waiting.append(id)
                continue
            }
            consumers[index].asked = 0
            consumers[index].seen = now
            actions.append(.deliver(id, deliveries))
        }
        guard waiting.contains(where: { index(of: $0).map { consumers[$0].room > 0 } ?? false }) else { return }
        for index in partitions.indices { partitions[index].raiseMark(spread: limits.spread) }
    }

    /// Partitions take turns: long runs of one of them are read at once.
    private mutating func take(_ count: Int, for consumer: Int) -> [Delivery] {
        var deliveries: [Delivery] = []
        guard count > 0 else { return [] }
        for distance in partitions.indices {
            let number = (turn + distance) % partitions.count
            let wanted = count - deliveries.count
            let taken = partitions[number].take(wanted, for: consumers[consumer].id, spread: limits.spread)
            deliveries += taken.map { hand($0, of: number, to: consumer) }
            if deliveries.count == count {
                turn = (number + 1) % partitions.count
                break
            }
        }
        return deliveries
    }

    private mutating func hand(_ taken: SharedPartition.Taken, of partition: Int, to consumer: Int) -> Delivery {
        let tag = consumers[consumer].nextTag
        consumers[consumer].nextTag += 1
        if consumers[consumer].autoAck {
            partitions[partition].settle(taken.offset)
        } else {
            consumers[consumer].held.append(.init(tag: tag, partition: partition, offset: taken.offset))
        }
        return Delivery(
            tag: tag,
            partition: partition,
            offset: taken.offset,
            count: taken.count,
            isRedelivered: taken.isRedelivered
        )
    }

    func index(of id: ConsumerID) -> Int? { consumers.firstIndex { $0.id == id } }
}
