import Ratchet
import RatchetTesting
import Seeds

/// A run of a queue with competing consumers in which nothing goes wrong that may not: retries of producers, channels
/// that close with unacked messages, requeues, duplicates and dead letters, all drawn from a seed.
struct SoundQueue {
    private struct Channel {
        let id: PartitionID
        var tag: Int64 = 0
        var waiting: [(message: MessageID, tag: Int64)] = []
        /// Effected, dead-lettered or skipped, and not acked yet.
        var done: [(message: MessageID, tag: Int64)] = []
    }

    private var random: SeededRandom
    private var history = History()
    private var time: Int64 = 1_000
    private var queue: [MessageID] = []
    private var channels: [Channel] = []
    private var name: PartitionID
    private var sent: [MessageID] = []
    private var isSettled: Set<MessageID> = []
    private var opened = 0

    static func history(_ seed: Seed, steps: Int = 600) throws -> History {
        var run = try SoundQueue(seed)
        let producer = run.history.producer("shop")
        for _ in 0..<run.random.below(3) + 1 { try run.open() }
        for _ in 0..<steps { try run.step(producer) }
        while !run.queue.isEmpty || !run.channels.allSatisfy({ $0.waiting.isEmpty && $0.done.isEmpty }) {
            let channel = run.random.below(run.channels.count)
            run.deliver(channel)
            run.handle(channel)
            run.ack(channel)
        }
        run.add(.end(of: run.name, messagesLeft: 0))
        run.add(.drained)
        return run.history
    }

    private init(_ seed: Seed) throws {
        random = seed.random
        name = try history.partition(TopicPartition("orders", 0), kind: .queue)
    }

    private mutating func add(_ event: History.Event) {
        time += Int64(random.below(50))
        history.append(event, at: time)
    }

    private mutating func open() throws {
        opened += 1
        let id = try history.partition(TopicPartition("orders/channel", opened), kind: .queue)
        channels.append(Channel(id: id))
    }

    private mutating func step(_ producer: ProducerID) throws {
        let channel = random.below(channels.count)
        switch random.below(100) {
        case ..<25: send(producer)
        case ..<50: deliver(channel)
        case ..<75: handle(channel)
        case ..<95: ack(channel)
        default:
            // What is not acked comes again, on another channel.
            let closed = channels.remove(at: channel)
            queue.insert(contentsOf: (closed.waiting + closed.done).map(\.message), at: 0)
            try open()
        }
    }

    private mutating func send(_ producer: ProducerID) {
        var message = history.message("order-\(history.messageCount)")
        if let earlier = sent.randomElement(using: &random), random.chance(15) { message = earlier }
        add(.sending(message, by: producer))
        switch random.below(100) {
        case ..<80:
            queue.append(message)
            sent.append(message)
            add(.sentOK(message, name))
        case ..<90:
            if random.chance(50) { queue.append(message) }
            sent.append(message)
            add(.sentUnknown(message))
        default: add(.sentFailed(message))
        }
    }

    private mutating func deliver(_ channel: Int) {
        guard !queue.isEmpty else { return }
        let message = queue.removeFirst()
        channels[channel].tag += 1
        let tag = channels[channel].tag
        add(.delivered(message, channels[channel].id, offset: tag, generation: 0))
        channels[channel].waiting.append((message, tag))
    }

    private mutating func handle(_ channel: Int) {
        guard !channels[channel].waiting.isEmpty else { return }
        let (message, tag) = channels[channel].waiting.remove(at: random.below(channels[channel].waiting.count))
        let id = channels[channel].id
        if isSettled.contains(message) {
            add(.skipped(message, id, offset: tag, generation: 0))
        } else {
            add(.started(message, id, offset: tag, generation: 0, key: .none))
            if random.chance(20) {
                add(.failed(message, id, offset: tag, generation: 0, key: .none))
                queue.append(message)
                return
            }
            isSettled.insert(message)
            let isGivenUp = random.chance(10)
            add((isGivenUp ? History.Event.deadLettered : History.Event.effect)(message, id, tag, 0))
            add(.finished(message, id, offset: tag, generation: 0, key: .none))
        }
        channels[channel].done.append((message, tag))
    }

    private mutating func ack(_ channel: Int) {
        guard !channels[channel].done.isEmpty else { return }
        let (message, tag) = channels[channel].done.remove(at: random.below(channels[channel].done.count))
        add(.acked(message, channels[channel].id, tag: tag))
    }
}
