public import Ratchet
import Synchronization

/// Sends messages to a ``Broker``: many at a time, each with a confirmation, and again as long as the broker cannot take
/// them or does not answer, until the delivery timeout. Keeps the order within each partition.
///
/// A message that fails for good takes with it what waits behind it in its partition: so nothing is written after a
/// message that its sender believes to have failed, unless it is handed over after that. Any number of tasks may use a
/// producer.
///
/// What is to be sent again later goes again while some task waits in one of the producer's methods or for one of its
/// confirmations, and with the ticks of ``Broker/run()``. Keep the producer until ``flush()`` or ``close()`` has
/// returned: with its last reference what waits to be sent again is forgotten.
public final class Producer: Sink {
    /// How it sends.
    public let settings: ProducerSettings
    /// The number under which the broker knows it.
    public let id: Int64
    /// Counts the producers of its transactional id; a later one fences it.
    let incarnation: Int32
    let broker: Broker
    private let state: Mutex<ProducerState>

    init(_ settings: ProducerSettings, id: Int64, incarnation: Int32, broker: Broker) {
        self.settings = settings
        self.id = id
        self.incarnation = incarnation
        self.broker = broker
        state = Mutex(ProducerState(settings: settings))
    }

    /// Why no later send can succeed: the broker's storage has failed, it was closed, this producer was closed, or
    /// another one has its transactional id. Nil as long as it is usable.
    public var failure: (any Error)? { state.withLock { $0.end } ?? broker.failure }

    /// The number of a transaction that begins, nil while another one is open.
    func beginTransaction() -> Int64? { state.withLock { $0.beginTransaction() } }

    func endTransaction() { state.withLock { $0.endTransaction() } }

    // MARK: Sending

    /// Sends one message and waits for its confirmation.
    ///
    /// Throws ``/Ratchet/MessageError``: `tooLarge`, `emptyKey`, `invalidHeader`, `unknownTopic`, `unknownPartition`;
    /// ``BrokerError``: what the broker refused it with, if it may not pass or the retries or the time are used up;
    /// `predecessorFailed`; `fenced`; `closed`. After `timedOut` and `storage` it is not known whether the message was
    /// written: where an attempt ended so, that is thrown, whatever later ones were refused with. `CancellationError`
    /// when cancelled: the message may be on its way.
    @discardableResult
    public func send(_ message: OutgoingMessage) async throws -> RecordMetadata {
        try await enqueue(message).wait()
    }

    /// Sends messages and waits for the confirmation of all: where each is. Throws as the sending of one does, for the
    /// first one that failed; others may be written. Nothing is, after a ``/Ratchet/MessageError``.
    @discardableResult
    public func send(_ messages: [OutgoingMessage]) async throws -> [RecordMetadata] {
        try await send(OutgoingBatch(messages))
    }

    /// Sends a batch; see ``send(_:)-([OutgoingMessage])``.
    @discardableResult
    public func send(_ batch: OutgoingBatch) async throws -> [RecordMetadata] {
        let handed = try await handOver(batch, skippingFaults: false)
        var places: [RecordMetadata] = []
        for place in handed.routed.places {
            guard let (delivery, index) = handed.place(place) else { continue }
            places.append(delivery.metadata(try await outcome(of: delivery).get(), index))
        }
        return places
    }

    /// Sends a batch as a ``/Ratchet/Sink``: which messages were not confirmed, and why.
    @_disfavoredOverload
    public func send(_ batch: OutgoingBatch) async throws -> [SinkFailure] {
        let handed = try await handOver(batch, skippingFaults: true)
        var failures: [SinkFailure] = []
        var faults = handed.routed.faults.makeIterator()
        for (index, place) in handed.routed.places.enumerated() {
            if let (delivery, _) = handed.place(place) {
                guard case .failure(let error) = try await outcome(of: delivery) else { continue }
                failures.append(SinkFailure(index: index, error: error))
            } else if let fault = faults.next() {
                failures.append(SinkFailure(index: index, error: fault.error))
            }
        }
        return failures
    }

    /// Hands a message over and returns as soon as there is room for it; its confirmation comes later. Messages of one
    /// partition are written in the order in which they were handed over.
    ///
    /// Throws ``/Ratchet/MessageError`` for a message that cannot be sent, ``BrokerError`` when nothing can be sent any
    /// more, `CancellationError` when cancelled while waiting for room; the message is not on its way then.
    public func enqueue(_ message: OutgoingMessage) async throws -> Confirmation {
        let handed = try await handOver(OutgoingBatch(CollectionOfOne(message)), skippingFaults: false)
        return Confirmation(producer: self, delivery: handed.deliveries[0][0])
    }

    /// Hands a message over; `confirmed` is called once, when it is known what became of the message: on the broker's
    /// writer thread, which it must not hold up.
    public func enqueue(
        _ message: OutgoingMessage,
        confirmed: @escaping @Sendable (Result<RecordMetadata, any Error>) -> Void
    ) async throws {
        let batch = try OutgoingBatch(CollectionOfOne(message))
        _ = try await handOver(batch, skippingFaults: false, confirmed: confirmed)
    }

    /// Waits until it is known what became of every message that was handed over so far. Failures are told by the
    /// confirmations. Throws `CancellationError` only.
    public func flush() async throws {
        for delivery in state.withLock({ $0.pending }) { _ = try await outcome(of: delivery) }
    }

    /// Waits for what was handed over, as ``flush()`` does, and takes nothing more: later sends throw
    /// ``BrokerError/Code/closed``. Idempotent.
    public func close() async throws {
        try await flush()
        end(BrokerError(.closed, "producer \(id) was closed"))
    }
}

// MARK: - On its way

extension Producer {
    /// A batch that was taken.
    struct Handed {
        let routed: RoutedBatch
        /// For each segment of the batch what it was divided into.
        var deliveries: [[Delivery]]

        /// The delivery that holds a message, and its place there.
        func place(_ place: RoutedBatch.Place?) -> (Delivery, Int)? {
            guard let place else { return nil }
            var index = Int(place.index)
            for delivery in deliveries[Int(place.segment)] {
                if index < delivery.messages { return (delivery, index) }
                index -= delivery.messages
            }
            return nil
        }
    }

    private func handOver(
        _ batch: OutgoingBatch,
        skippingFaults: Bool,
        confirmed: (@Sendable (Result<RecordMetadata, any Error>) -> Void)? = nil
    ) async throws -> Handed {
        let routed = RoutedBatch(batch, catalog: broker.catalog, now: broker.configuration.time.wall())
        if !skippingFaults, let fault = routed.faults.first { throw fault.error }
        var handed = Handed(routed: routed, deliveries: [])
        var pieces: [ProducerLane.Piece] = []
        let limits = settings.limits
        for (index, segment) in routed.segments.enumerated() {
            let parts = routed.parts(of: index, messages: limits.messages, bytes: limits.bytes)
            let own = parts.map { part in
                ProducerLane.Piece(part: part, delivery: delivery(of: part, segment.log, confirmed))
            }
            pieces += own
            handed.deliveries.append(own.map(\.delivery))
        }
        try await add(pieces)
        if settings.acks == .none { forget(&handed, confirmed) }
        return handed
    }

    private func delivery(
        of part: RoutedBatch.Part,
        _ log: PartitionLog,
        _ confirmed: (@Sendable (Result<RecordMetadata, any Error>) -> Void)?
    ) -> Delivery {
        guard let confirmed, settings.acks != .none else { return Delivery(log: log, part, callback: nil) }
        return Delivery(log: log, part) { outcome in
            confirmed(outcome.map { RecordMetadata(partition: log.partition, offset: $0) })
        }
    }

    /// Counts what was taken as confirmed: nobody is told what becomes of it.
    private func forget(_ handed: inout Handed, _ confirmed: (@Sendable (Result<RecordMetadata, any Error>) -> Void)?) {
        for segment in handed.deliveries.indices {
            for index in handed.deliveries[segment].indices {
                let delivery = handed.deliveries[segment][index].settledAtOnce
                handed.deliveries[segment][index] = delivery
                confirmed?(.success(delivery.metadata(-1, 0)))
            }
        }
    }

    private func add(_ pieces: [ProducerLane.Piece]) async throws {
        var ticket: UInt64?
        do {
            while let oldest = try add(pieces, &ticket) { _ = try await outcome(of: oldest) }
        } catch {
            state.withLock { $0.giveBack(ticket) }
            throw error
        }
    }

    private func add(_ pieces: [ProducerLane.Piece], _ ticket: inout UInt64?) throws -> Delivery? {
        var effects = ProducerEffects()
        let now = broker.clock.now
        let oldest = try state.withLock { state throws(BrokerError) in
            try state.add(pieces, ticket: &ticket, now: now, &effects)
        }
        perform(effects)
        return oldest
    }

    /// Waits until the delivery is settled, and sends again meanwhile what is due.
    func outcome(of delivery: Delivery) async throws -> Delivery.Outcome {
        while true {
            let version = delivery.version
            if let outcome = delivery.outcome { return outcome }
            try Task.checkCancellation()
            guard let due = state.withLock({ $0.due(in: delivery.log.uid) }) else {
                await delivery.wait(since: version)
                continue
            }
            let rest = due - broker.clock.now
            if rest > .zero {
                await delivery.wait(since: version, atMost: rest, clock: broker.clock)
            } else {
                tick()
            }
        }
    }

    /// These partitions were deleted.
    func forget(_ uids: [UInt32]) { state.withLock { $0.forget(uids) } }

    /// How many deliveries it holds in memory.
    var held: Int { state.withLock { $0.held } }

    /// How many partitions it knows; for tests.
    var laneCount: Int { state.withLock { $0.laneCount } }

    /// Sends again what is due.
    func tick() {
        var effects = ProducerEffects()
        let now = broker.clock.now
        state.withLock { $0.tick(now: now, &effects) }
        perform(effects)
    }

    /// Takes nothing more; what is not on its way fails.
    func end(_ error: BrokerError) {
        var effects = ProducerEffects()
        let now = broker.clock.now
        state.withLock { $0.end(error, now: now, &effects) }
        perform(effects)
    }

    /// Submits one batch after the other: on one task at a time, or their order could be lost.
    private func perform(_ effects: ProducerEffects) {
        effects.perform()
        var next = state.withLock { $0.beginSubmitting() }
        while let outgoing = next {
            submit(outgoing)
            next = state.withLock { $0.nextOutgoing() }
        }
    }

    private func submit(_ outgoing: ProducerState.Outgoing) {
        let (uid, batch) = (outgoing.log.uid, outgoing.batch.number)
        let fault = broker.configuration.producerFault()
        if fault == .requestLost {
            return answered(uid, batch, .failure(BrokerError(.timedOut, "the request was lost on purpose")))
        }
        let stamp = settings.hasSequences ? stamp(outgoing.batch) : nil
        let request = Appender.Request(
            segments: [.init(log: outgoing.log, parts: outgoing.parts, stamp: stamp)],
            acks: settings.acks
        ) { [self] result in
            guard fault == .answerLost, case .success = result else { return answered(uid, batch, result) }
            answered(uid, batch, .failure(BrokerError(.timedOut, "the answer was lost on purpose")))
        }
        broker.appender.submit(request)
    }

    private func stamp(_ batch: DeliverySchedule.Batch) -> ProducerStamp {
        ProducerStamp(
            producer: id,
            epoch: ProducerEpoch.value(incarnation: incarnation, restarts: batch.restarts),
            sequences: batch.sequences
        )
    }

    /// What an append's result is for the schedule.
    static func answer(_ result: Result<[Int64], any Error>) -> DeliverySchedule.Answer {
        switch result {
        case .success(let offsets): .written(offset: offsets[0] < 0 ? nil : offsets[0])
        case .failure(let error as BrokerError) where error.code == .outOfSequence: .gap
        case .failure(let error):
            .refused(
                error,
                isRetriable: (error as? BrokerError)?.isRetriable ?? false,
                isUnwritten: BrokerError.isUnwritten(error)
            )
        }
    }

    private func answered(_ uid: UInt32, _ batch: UInt64, _ result: Result<[Int64], any Error>) {
        var effects = ProducerEffects()
        let now = broker.clock.now
        state.withLock { $0.answered(uid, batch, Self.answer(result), now: now, &effects) }
        perform(effects)
    }
}
