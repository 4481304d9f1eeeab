import Logging
import Ratchet
import Synchronization

/// One group of competing consumers: performs what its ``SharedGroup`` decides.
final class SharedGroupShell: Sendable {
    typealias ConsumerID = SharedGroup.ConsumerID
    typealias Answered = CheckedContinuation<Void, any Error>

    struct State {
        var core: SharedGroup
        /// In the order in which they came.
        var consumers: [SharedConsumer] = []
        var requests: [SharedGroup.RequestID: Answered] = [:]
        var lastRequest: SharedGroup.RequestID = 0
        var settings: QueueSettings
        /// Why nobody gets anything any more.
        var end: (any Error)?
        /// Why a piece was undone whose group's transaction goes on: nothing more of it may be written by that.
        var failure: (any Error)?
        /// Whether the last write has failed.
        var isFailing = false

        func consumer(_ id: ConsumerID) -> SharedConsumer? { consumers.first { $0.id == id } }

        mutating func remove(_ id: ConsumerID) -> SharedConsumer? {
            consumers.firstIndex { $0.id == id }.map { consumers.remove(at: $0) }
        }
    }

    let name: String
    let storage: Storage
    let places: Mutex<[LogReader.Place?]>
    let deadLetters: DeadLetterWriter
    let clock: BrokerClock
    let logger: Logger
    let state: Mutex<State>
    private let current: Mutex<Topic>

    /// The topic as it was altered last.
    var topic: Topic { current.withLock { $0 } }

    init(
        name: String,
        topic: Topic,
        settings: QueueSettings,
        core: SharedGroup,
        storage: Storage,
        deadLetters: DeadLetterWriter,
        clock: BrokerClock,
        logger: Logger
    ) {
        self.name = name
        current = Mutex(topic)
        self.storage = storage
        self.deadLetters = deadLetters
        self.clock = clock
        self.logger = logger
        places = Mutex(Array(repeating: nil, count: topic.logs.count))
        state = Mutex(State(core: core, settings: settings))
        for log in topic.logs { follow(log) }
    }

    private func follow(_ log: PartitionLog) {
        log.follow(SharedLogFollower(group: self, log: log))
        // It may have grown since the group was made of it.
        observe(log)
    }

    /// A partition has grown, or another node leads it.
    func observe(_ log: PartitionLog) {
        change { state in
            // Looked at here: an end from before would cut off what was delivered since.
            let (range, leaderEnd) = (log.range, log.leaderEndIfKnown)
            let event = SharedGroup.Event.log(partition: log.partition.partition, range, leaderEnd: leaderEnd)
            return (state.core.handle(event, now: self.clock.now), ())
        }
    }

    /// The topic has other settings now, or more partitions. On the writer thread.
    func altered(to altered: Topic) {
        let added = current.withLock { topic in
            defer { topic = altered }
            return altered.logs[topic.logs.count...]
        }
        places.withLock { $0 += Array(repeating: nil, count: added.count) }
        tell(.added(added.map { SharedPartition(nil, log: $0.range) }))
        for log in added { follow(log) }
    }

    // MARK: Consumers

    /// What a consumer comes with.
    struct Newcomer: Sendable {
        let prefetch: Int
        let autoAck: Bool
        /// The group's, as this consumer wants them.
        let settings: QueueSettings
        let limits: SharedGroup.Limits
    }

    /// A new consumer, whose number is on the disk. Throws unless the group's consumers have the settings that it wants:
    /// where there are none, the group takes them on.
    func join(_ newcomer: Newcomer, reading limits: LogReader.Limits, told signal: Signal) async throws
        -> SharedConsumer
    {
        try state.withLock { try check(newcomer.settings, $0) }
        let (topic, name, tables) = (topic, name, storage.tables)
        let id = try await storage.write(reclaims: true) {
            try SharedTable.newConsumer(topic, name, in: $0, tables)
        }
        let consumer = SharedConsumer(id: id, group: self, limits: limits, told: signal)
        try change { state throws in
            if let end = state.end { throw end }
            // Again: others may have come meanwhile.
            try self.check(newcomer.settings, state)
            (state.settings, state.core.limits) = (newcomer.settings, newcomer.limits)
            let limit = state.core.limits.maximumConsumers
            guard state.core.consumers.count < limit else {
                throw BrokerError(
                    .limitReached,
                    "a consumer of \(self.place) would be one more than maximumConsumers, \(limit)"
                )
            }
            state.consumers.append(consumer)
            let event = SharedGroup.Event.join(id, prefetch: newcomer.prefetch, autoAck: newcomer.autoAck)
            return (state.core.handle(event, now: self.clock.now), ())
        }
        logger.info("A consumer has joined.", metadata: LogKeys.queue(self, id))
        return consumer
    }

    private func check(_ settings: QueueSettings, _ state: State) throws(BrokerError) {
        guard settings != state.settings, !state.consumers.isEmpty else { return }
        throw BrokerError(
            .invalidArgument,
            "\(place) has consumers with other settings, \(state.settings): close them first"
        )
    }

    /// What the consumer had not answered goes to the others. Idempotent.
    func leave(_ id: ConsumerID) {
        let hasLeft = change { state in
            guard state.remove(id) != nil else { return ([], false) }
            return (state.core.handle(.leave(id), now: self.clock.now), true)
        }
        if hasLeft { logger.info("A consumer has left.", metadata: LogKeys.queue(self, id)) }
    }

    /// Throws why the group is none any more, or the consumer is none.
    func check(_ id: ConsumerID) throws {
        try state.withLock { state in
            if let end = state.end { throw end }
            guard state.consumer(id) != nil else { throw refusal(.fenced, id) }
        }
    }

    func tell(_ event: SharedGroup.Event) {
        change { ($0.core.handle(event, now: self.clock.now), ()) }
    }

    /// Consumers that were silent for too long. Who waits for something is not silent, whatever it waits for.
    func tick() {
        change { state in
            var actions: [SharedGroup.Action] = []
            for consumer in state.consumers where consumer.isInNext {
                actions += state.core.handle(.seen(consumer.id), now: self.clock.now)
            }
            return (actions + state.core.handle(.tick, now: self.clock.now), ())
        }
    }

    /// Answers deliveries, and returns once that is durable.
    func settle(_ id: ConsumerID, through: Int64?, tags: [Int64], _ answer: SharedGroup.Answer) async throws {
        try await withCheckedThrowingContinuation { (continuation: Answered) in
            change { state in
                if let end = state.end {
                    continuation.resume(throwing: end)
                    return ([], ())
                }
                state.lastRequest += 1
                state.requests[state.lastRequest] = continuation
                let event = SharedGroup.Event.settle(id, through: through, tags: tags, answer, state.lastRequest)
                return (state.core.handle(event, now: self.clock.now), ())
            }
        }
    }

    /// All consumers leave, in good order.
    func close(_ error: any Error) {
        change { state in
            let consumers = state.core.consumers.map(\.id)
            let left = consumers.flatMap { state.core.handle(.leave($0), now: self.clock.now) }
            // What has failed to be written goes once more.
            return (left + state.core.handle(.tick, now: self.clock.now), ())
        }
        end(error)
    }

    /// Nobody gets anything any more; what is on its way to the disk is still told.
    func end(_ error: any Error) {
        let (consumers, unwritten) = state.withLock { state in
            if state.end == nil { state.end = error }
            defer { state.consumers = [] }
            return (state.consumers, state.core.takeUnasked().compactMap { state.requests.removeValue(forKey: $0) })
        }
        for request in unwritten { request.resume(throwing: error) }
        for consumer in consumers { consumer.wake() }
    }

    var place: String { "queue '\(topic.name)' of group '\(name)'" }

    var hasWaiting: Bool { state.withLock { $0.consumers.contains { $0.isInNext } } }

    func wakeStalled() {
        for consumer in state.withLock({ $0.consumers }) { consumer.wakeIfStalled() }
    }

    /// How many messages the partitions remember one by one; for tests.
    var spans: [Int] { state.withLock { $0.core.partitions.map(\.span) } }
}

// MARK: - Decisions

extension SharedGroupShell {
    /// What follows from a decision, to be done outside of the lock.
    private enum Effect {
        case wake(SharedConsumer)
        case resume(Answered)
        case fail(Answered, any Error)
        case persist
        case bury([SharedGroup.DeadLetter], SharedGroup.RequestID?)
        case evicted(SharedConsumer)
        case withdrawn(SharedConsumer, [Int64])
    }

    @discardableResult
    private func change<R: Sendable, E: Error>(
        _ body: (inout State) throws(E) -> ([SharedGroup.Action], R)
    ) throws(E) -> R {
        let (effects, result) = try state.withLock { (state) throws(E) -> ([Effect], R) in
            let (actions, result) = try body(&state)
            var effects: [Effect] = []
            for action in actions { effects += self.effects(of: action, &state) }
            return (effects, result)
        }
        for effect in effects { perform(effect) }
        return result
    }

    private func effects(of action: SharedGroup.Action, _ state: inout State) -> [Effect] {
        switch action {
        case .deliver(let id, let deliveries):
            guard let consumer = state.consumer(id) else { return [] }
            consumer.deliver(deliveries)
            return [.wake(consumer)]
        case .persist: return [.persist]
        case .confirm(let ids):
            return ids.compactMap { state.requests.removeValue(forKey: $0).map { .resume($0) } }
        case .refuse(let request, let reason):
            return state.requests.removeValue(forKey: request).map { [.fail($0, refusal(reason, nil))] } ?? []
        case .deadLetter(let letters, let request): return [.bury(letters, request)]
        case .evicted(let id): return state.remove(id).map { [.evicted($0)] } ?? []
        case .withdraw(let id, let tags): return state.consumer(id).map { [.withdrawn($0, $0.withdraw(tags))] } ?? []
        }
    }

    private func perform(_ effect: Effect) {
        switch effect {
        case .wake(let consumer): consumer.wake()
        case .resume(let request): request.resume()
        case .fail(let request, let error): request.resume(throwing: error)
        case .persist: persist()
        case .bury(let letters, let request): bury(letters, request)
        case .evicted(let consumer):
            logger.warning(
                "A consumer was silent for too long and is evicted.",
                metadata: LogKeys.queue(self, consumer.id)
            )
            consumer.wake()
        case .withdrawn(let consumer, let tags):
            tell(.unread(consumer.id, tags: tags))
            consumer.wake()
        }
    }

    private func refusal(_ reason: SharedGroup.Refusal, _ id: ConsumerID?) -> SourceError {
        switch reason {
        case .fenced:
            SourceError(
                .fenced,
                "the consumer of \(place) is none any more, and what it had is delivered to others: open another one"
            )
        case .unknownTag(let tag): SourceError(.invalidArgument, "tag \(tag) of \(place) was never delivered")
        case .settledTag(let tag): SourceError(.invalidArgument, "tag \(tag) of \(place) was answered before")
        }
    }
}
