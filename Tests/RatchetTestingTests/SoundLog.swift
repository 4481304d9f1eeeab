import Ratchet
import RatchetTesting
import Seeds

/// A run of a log with a consumer group in which nothing goes wrong that may not: producers that retry, aborted
/// transactions, rebalances, crashes, retries, duplicates and dead letters, all drawn from a seed.
struct SoundLog {
    private struct Record {
        let offset: Int64
        let message: MessageID
        let key: OrderedKeyID
        let isAborted: Bool
        /// Its message is done, and the ledger knows of it by position.
        var isDone = false
    }

    private struct Partition {
        let id: PartitionID
        let keys: [OrderedKeyID]
        var records: [Record] = []
        var end: Int64 = 0
        var generation: Int64 = 0
        var isOwned = false
        var position = 0
        var committed: Int64 = 0
        var waiting: [Int] = []
        var running: [Int] = []

        /// How many records from the first on are done, or nobody's.
        var prefix: Int { records.firstIndex { !$0.isDone && !$0.isAborted } ?? records.count }
    }

    private struct Sent {
        let message: MessageID
        let producer: ProducerID
        let partition: Int
        let key: Int
    }

    private var random: SeededRandom
    private var history = History()
    private var time: Int64 = 1_000
    private var partitions: [Partition] = []
    private var producers: [ProducerID] = []
    private var sent: [Sent] = []
    /// Confirms that are still on their way.
    private var confirms: [History.Event] = []
    private var isSettled: Set<MessageID> = []
    private var number = 0

    static func history(_ seed: Seed, steps: Int = 600) throws -> History {
        var run = SoundLog(random: seed.random)
        for index in 0..<run.random.below(4) + 1 {
            let id = try run.history.partition(TopicPartition("orders", index))
            let keys = (0..<run.random.below(5) + 1).map { run.history.key("key-\($0)", in: id) }
            run.partitions.append(Partition(id: id, keys: keys))
        }
        for index in 0..<run.random.below(3) + 1 { run.producers.append(run.history.producer("producer-\(index)")) }
        for _ in 0..<steps { run.step() }
        run.drain()
        return run.history
    }

    private init(random: SeededRandom) { self.random = random }

    private mutating func add(_ event: History.Event) {
        time += Int64(random.below(50))
        history.append(event, at: time)
    }

    private mutating func step() {
        let partition = random.below(partitions.count)
        switch random.below(100) {
        case ..<25: send()
        case ..<30: confirm(random.below(max(1, confirms.count)))
        case ..<50: deliver(partition)
        case ..<65: start(partition)
        case ..<85: end(partition, mayFail: true)
        case ..<93: commit(partition)
        case ..<96: leave(partition)
        default: crash(partition)
        }
    }

    private mutating func send() {
        var choice: Sent
        if let earlier = sent.randomElement(using: &random), random.chance(20) {
            choice = earlier
        } else {
            let partition = random.below(partitions.count)
            choice = Sent(
                message: history.message("order-\(number)"),
                producer: producers[random.below(producers.count)],
                partition: partition,
                key: random.below(partitions[partition].keys.count)
            )
            number += 1
        }
        add(.sending(choice.message, by: choice.producer))
        switch random.below(100) {
        case ..<75:
            let offset = append(choice, isAborted: false)
            confirms.append(.sentOK(choice.message, partitions[choice.partition].id, offset: offset))
            sent.append(choice)
        case ..<85:
            if random.chance(50) { _ = append(choice, isAborted: false) }
            if random.chance(70) { add(.sentUnknown(choice.message)) }
            sent.append(choice)
        case ..<95:
            add(.sentFailed(choice.message))
        default:
            _ = append(choice, isAborted: true)
            add(.sentFailed(choice.message))
        }
        if random.chance(50) { confirm(0) }
    }

    private mutating func append(_ choice: Sent, isAborted: Bool) -> Int64 {
        // Now and then a transaction's marker takes an offset.
        if random.chance(10) { partitions[choice.partition].end += 1 }
        let (id, offset) = (partitions[choice.partition].id, partitions[choice.partition].end)
        let key = partitions[choice.partition].keys[choice.key]
        add(.appended(choice.message, id, offset: offset))
        if isAborted { add(.aborted(choice.message, id, offset: offset)) }
        partitions[choice.partition].end += 1
        partitions[choice.partition].records.append(
            Record(offset: offset, message: choice.message, key: key, isAborted: isAborted)
        )
        return offset
    }

    private mutating func confirm(_ index: Int) {
        if index < confirms.count { add(confirms.remove(at: index)) }
    }

    private mutating func assign(_ partition: Int) {
        // The ledger may be ahead of what the broker knows.
        let records = partitions[partition].records
        let committed = records.firstIndex { $0.offset >= partitions[partition].committed } ?? records.count
        let position = random.chance(50) ? committed : max(committed, partitions[partition].prefix)
        partitions[partition].generation += Int64(random.below(2) + 1)
        partitions[partition].position = position
        partitions[partition].isOwned = true
        let offset = position < records.count ? records[position].offset : partitions[partition].end
        add(.assigned(partitions[partition].id, generation: partitions[partition].generation, from: offset))
    }

    private mutating func deliver(_ partition: Int) {
        guard partitions[partition].isOwned else { return assign(partition) }
        for _ in 0..<random.below(4) + 1 {
            let position = partitions[partition].position
            guard position < partitions[partition].records.count else { return }
            partitions[partition].position += 1
            if partitions[partition].records[position].isAborted { continue }
            add(event(History.Event.delivered, position, partition))
            partitions[partition].waiting.append(position)
        }
    }

    /// The first waiting message of a free key, which is skipped if it is done already.
    private mutating func start(_ partition: Int) {
        let state = partitions[partition]
        let busy = Set(state.running.map { state.records[$0].key })
        guard let at = state.waiting.firstIndex(where: { !busy.contains(state.records[$0].key) }) else { return }
        let index = partitions[partition].waiting.remove(at: at)
        if isSettled.contains(state.records[index].message) {
            if random.chance(80) { add(event(History.Event.skipped, index, partition)) }
            partitions[partition].records[index].isDone = true
        } else {
            add(handling(History.Event.started, index, partition))
            partitions[partition].running.append(index)
        }
    }

    private mutating func end(_ partition: Int, mayFail: Bool) {
        guard !partitions[partition].running.isEmpty else { return }
        let index = partitions[partition].running.remove(at: random.below(partitions[partition].running.count))
        if mayFail, random.chance(25) {
            add(handling(History.Event.failed, index, partition))
            partitions[partition].waiting.append(index)
            partitions[partition].waiting.sort()
            return
        }
        add(event(random.chance(10) ? History.Event.deadLettered : History.Event.effect, index, partition))
        isSettled.insert(partitions[partition].records[index].message)
        // It dies between the effect and the moment at which the ledger knows of it.
        if mayFail, random.chance(5) { return crash(partition) }
        partitions[partition].records[index].isDone = true
        add(handling(History.Event.finished, index, partition))
    }

    private mutating func commit(_ partition: Int) {
        let state = partitions[partition]
        let prefix = state.prefix
        guard state.isOwned, prefix > 0 else { return }
        let offset =
            prefix < state.records.count && random.chance(50)
            ? state.records[prefix].offset : state.records[prefix - 1].offset + 1
        guard offset >= state.committed else { return }
        partitions[partition].committed = offset
        add(.committed(state.id, offset: offset, generation: state.generation))
    }

    /// Drains, commits and lets go.
    private mutating func leave(_ partition: Int) {
        guard partitions[partition].isOwned else { return }
        while !partitions[partition].running.isEmpty { end(partition, mayFail: false) }
        commit(partition)
        add(.revoked(partitions[partition].id, generation: partitions[partition].generation))
        crash(partition)
    }

    private mutating func crash(_ partition: Int) {
        partitions[partition].isOwned = false
        partitions[partition].waiting = []
        partitions[partition].running = []
    }

    private mutating func drain() {
        while !confirms.isEmpty { confirm(0) }
        for partition in partitions.indices {
            while partitions[partition].prefix < partitions[partition].records.count {
                deliver(partition)
                start(partition)
                end(partition, mayFail: false)
            }
            if !partitions[partition].isOwned { assign(partition) }
            commit(partition)
            add(.end(of: partitions[partition].id, offset: partitions[partition].end))
        }
        add(.drained)
    }

    private typealias Making = (MessageID, PartitionID, Int64, Int64) -> History.Event

    private func event(_ make: Making, _ index: Int, _ partition: Int) -> History.Event {
        let record = partitions[partition].records[index]
        return make(record.message, partitions[partition].id, record.offset, partitions[partition].generation)
    }

    private typealias Handling = (MessageID, PartitionID, Int64, Int64, OrderedKeyID) -> History.Event

    private func handling(_ make: Handling, _ index: Int, _ partition: Int) -> History.Event {
        let (record, state) = (partitions[partition].records[index], partitions[partition])
        return make(record.message, state.id, record.offset, state.generation, record.key)
    }
}
