import DequeModule
public import Ratchet
import Synchronization

/// A competing consumer of one queue or several, as a pipeline's session: each queue is one channel, the partition its
/// number, the offset the delivery tag. Gives back what was not acked when it is closed, or with its last reference.
public final class BrokerQueueSession: QueueSession {
    /// A channel that was assigned.
    private struct Channel {
        let consumer: SharedConsumer
        let partition: TopicPartition
        /// The tag after the last one that was delivered.
        var next: Int64 = 1
        var isStarted = false
        var isPaused = false

        var generation: Int64 { consumer.id }
    }

    private struct State {
        var channels: [Channel] = []
        var events = Deque<SourceEvent>()
        var turn = 0
        var isClosed = false

        func index(of partition: TopicPartition) -> Int? { channels.firstIndex { $0.partition == partition } }
    }

    private enum Step {
        case event(SourceEvent)
        /// The channels that may deliver, whoever's turn it is first.
        case poll([Channel])
    }

    private let subscription: BrokerQueueSubscription
    private let signal = Signal()
    private let inNext = Atomic<Bool>(false)
    private let state = Mutex(State())

    init(subscription: BrokerQueueSubscription) { self.subscription = subscription }

    deinit {
        for channel in state.withLock({ $0.channels }) { channel.consumer.leave() }
    }

    /// Opens a channel, to be told as assigned.
    func openChannel(of topic: String) async throws {
        let consumer = try await subscription.consumer(of: topic, told: signal)
        let channel = Channel(consumer: consumer, partition: TopicPartition(topic, Int(consumer.id)))
        let assignment = Assignment(
            partition: channel.partition,
            topicID: nil,
            generation: channel.generation,
            committed: nil,
            log: channel.next..<channel.next
        )
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            state.channels.append(channel)
            state.events.append(.assigned([assignment]))
            return false
        }
        if isClosed { consumer.leave() }
    }

    /// The next event; waits until there is one. Channels with messages take turns.
    ///
    /// A session whose `next` neither waits nor is called for the session timeout loses its channels; the calls after
    /// that say so, and assign others. Throws ``/Ratchet/SourceError`` with `corrupted` when a message cannot be read,
    /// `CancellationError` when cancelled.
    public func next() async throws -> SourceEvent {
        guard !inNext.exchange(true, ordering: .acquiringAndReleasing) else {
            throw SourceError(.invalidArgument, "next() was called while another call waits: one task calls it")
        }
        var entered: [SharedConsumer] = []
        defer {
            for consumer in entered { consumer.leaveNext() }
            inNext.store(false, ordering: .releasing)
        }
        while true {
            try Task.checkCancellation()
            let consumers = state.withLock { $0.channels.map(\.consumer) }
            for consumer in consumers where !entered.contains(where: { $0 === consumer }) {
                try consumer.enterNext()
                entered.append(consumer)
            }
            switch step() {
            case .event(let event): return event
            case .poll(let channels):
                for channel in channels { if let event = try await poll(channel) { return event } }
                await signal.wait()
                if Task.isCancelled { for channel in channels { channel.consumer.unask() } }
            }
        }
    }

    private func step() -> Step {
        state.withLock { state in
            if state.isClosed { return .event(.closed) }
            if let event = state.events.popFirst() { return .event(event) }
            let open = state.channels.indices.map { (state.turn + $0) % state.channels.count }
            state.turn += 1
            return .poll(open.map { state.channels[$0] }.filter { $0.isStarted && !$0.isPaused })
        }
    }

    private func poll(_ channel: Channel) async throws -> SourceEvent? {
        let deliveries: [QueueDelivery]
        do {
            deliveries = try channel.consumer.poll(most: .max)
        } catch let error as SourceError where [.fenced, .unknownTopic].contains(error.code) {
            return try await lose(channel, isToFollow: error.code == .fenced)
        }
        guard let last = deliveries.last else { return nil }
        let start = state.withLock { state in
            guard let index = state.index(of: channel.partition) else { return channel.next }
            defer { state.channels[index].next = last.tag + 1 }
            return state.channels[index].next
        }
        return .messages(try Self.batch(deliveries, of: channel, from: start))
    }

    /// The channel is gone, and what it had is others'; another one follows unless its topic is gone too.
    private func lose(_ channel: Channel, isToFollow: Bool) async throws -> SourceEvent? {
        let isOurs = state.withLock { state in
            guard !state.isClosed, let index = state.index(of: channel.partition) else { return false }
            state.channels.remove(at: index)
            return true
        }
        // Closed meanwhile: the next step says so.
        guard isOurs else {
            signal.tell()
            return nil
        }
        if isToFollow { try await openChannel(of: channel.partition.topic) }
        return .lost([channel.partition])
    }

    private static func batch(
        _ deliveries: [QueueDelivery],
        of channel: Channel,
        from start: Int64
    ) throws -> MessageBatch {
        try MessageBatch(
            partition: channel.partition,
            generation: channel.generation,
            startOffset: start,
            count: deliveries.count,
            byteCount: deliveries.reduce(0) { $0 + $1.message.batch.record(at: $1.message.index).count },
            // What was delivered before a crash may not have been counted.
            deliveryCounts: deliveries.map { Int32(max($0.deliveryCount, $0.isRedelivered ? 2 : 1)) }
        ) { bytes, offsets in
            var at = 0
            for (index, delivery) in deliveries.enumerated() {
                let record = delivery.message.batch.record(at: delivery.message.index)
                UnsafeMutableRawBufferPointer(rebasing: bytes[at..<at + record.count]).copyMemory(from: record)
                at += record.count
                offsets[index] = delivery.tag
            }
        }
    }

    /// Begins the delivery of a channel. Throws ``/Ratchet/SourceError``: `notAssigned`, `fenced`, or
    /// `offsetOutOfRange` for another tag than its first.
    public func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        try state.withLock { state throws(SourceError) in
            let index = try Self.index(of: partition, generation, in: state)
            guard state.channels[index].next == offset else {
                throw SourceError(
                    .offsetOutOfRange,
                    "tag \(offset) of channel \(partition): the next delivery has \(state.channels[index].next)"
                )
            }
            state.channels[index].isStarted = true
        }
        signal.tell()
    }

    private static func index(
        of partition: TopicPartition,
        _ generation: Int64,
        in state: borrowing State
    ) throws(SourceError) -> Int {
        guard !state.isClosed, let index = state.index(of: partition) else {
            throw SourceError(.notAssigned, "channel \(partition) is not assigned to this session")
        }
        let assigned = state.channels[index].generation
        guard assigned == generation else {
            throw SourceError(.fenced, "channel \(partition) is of generation \(assigned), not \(generation)")
        }
        return index
    }

    /// Stops or resumes the delivery of one channel; of one that is not assigned, nothing.
    public func setPaused(_ paused: Bool, _ partition: TopicPartition) {
        let consumer = state.withLock { state -> SharedConsumer? in
            guard let index = state.index(of: partition) else { return nil }
            state.channels[index].isPaused = paused
            return state.channels[index].consumer
        }
        if paused { consumer?.unask() }
        signal.tell()
    }

    /// Acks all before the offsets; see ``ack(_:)``.
    public func commit(_ commits: [OffsetCommit]) async throws {
        try await ack(
            commits.map {
                QueueAck(partition: $0.partition, generation: $0.generation, through: max($0.offset, 1) - 1, tags: [])
            }
        )
    }

    /// Acks deliveries, and returns once that is durable. Throws ``/Ratchet/SourceError``: `fenced` when a channel is
    /// gone, and then acks nothing; `invalidArgument` for a tag that was never delivered.
    public func ack(_ acks: [QueueAck]) async throws {
        let consumers = try state.withLock { state throws(SourceError) in
            var consumers: [SharedConsumer] = []
            for ack in acks {
                do throws(SourceError) {
                    let index = try Self.index(of: ack.partition, ack.generation, in: state)
                    consumers.append(state.channels[index].consumer)
                } catch {
                    throw SourceError(.fenced, error.detail)
                }
            }
            return consumers
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (ack, consumer) in zip(acks, consumers) {
                group.addTask { try await consumer.settle(through: ack.through, tags: ack.tags, .ackAgain) }
            }
            try await group.waitForAll()
        }
    }

    /// Gives back deliveries that were not begun: they count as never delivered, and others get them at once. Throws
    /// ``/Ratchet/SourceError`` with `fenced` when the channel is gone.
    public func giveBack(_ tags: [Int64], of partition: TopicPartition, generation: Int64) async throws {
        let consumer = try state.withLock { state throws(SourceError) in
            do throws(SourceError) {
                return state.channels[try Self.index(of: partition, generation, in: state)].consumer
            } catch {
                throw SourceError(.fenced, error.detail)
            }
        }
        consumer.giveBack(untried: tags)
    }

    /// Nothing: no channel is ever revoked.
    public func release(_ partitions: [TopicPartition]) async {}

    /// Nil: a queue is not read again.
    public func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? { nil }

    /// Gives back what was not acked. Idempotent; wakes ``next()``.
    public func close() async {
        let channels = state.withLock { state in
            state.isClosed = true
            defer { state.channels = [] }
            return state.channels
        }
        for channel in channels { channel.consumer.leave() }
        signal.tell()
    }
}
