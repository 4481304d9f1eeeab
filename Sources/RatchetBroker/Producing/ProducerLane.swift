import DequeModule
import Ratchet

/// A producer's messages for one partition: what its schedule decides about.
struct ProducerLane {
    /// Messages that stay together, with their delivery.
    struct Piece: Sendable {
        let part: RoutedBatch.Part
        let delivery: Delivery
    }

    let log: PartitionLog
    var schedule: DeliverySchedule
    /// By the schedule's numbers.
    var pieces: [UInt64: Piece] = [:]

    /// Those that wait, in order.
    var deliveries: [Delivery] { pieces.sorted { $0.key < $1.key }.map(\.value.delivery) }
}

/// What a producer has to do outside of its lock.
struct ProducerEffects {
    var settled: [(Delivery, Delivery.Outcome)] = []
    var woken: [Delivery] = []

    func perform() {
        for (delivery, outcome) in settled { delivery.settle(outcome) }
        for delivery in woken { delivery.wake() }
    }
}

/// Everything that a producer has on its way.
struct ProducerState {
    /// A batch that is to go to the broker.
    struct Outgoing {
        let log: PartitionLog
        let parts: [RoutedBatch.Part]
        let batch: DeliverySchedule.Batch
    }

    private let settings: ProducerSettings
    /// By the partitions' uids.
    private var lanes: [UInt32: ProducerLane] = [:]
    /// In the order in which they were handed over; some of them are settled by now.
    private var handed = Deque<Delivery>()
    /// How many of them are not.
    private var unsettled = 0
    private var lastNumber: UInt64 = 0
    /// Who waits for room, first come, first served: else a large batch could wait for ever.
    private var tickets = Deque<UInt64>()
    private var lastTicket: UInt64 = 0
    private var messages = 0
    private var bytes = 0
    private var outgoing = Deque<Outgoing>()
    private var isSubmitting = false
    private var lastTransaction: Int64 = 0
    private var isInTransaction = false
    /// Why nothing can be sent any more.
    private(set) var end: BrokerError?

    init(settings: ProducerSettings) { self.settings = settings }

    /// How many deliveries it still holds, settled ones among them.
    var held: Int { handed.count }

    /// What is not settled yet.
    var pending: [Delivery] { handed.filter { !$0.isTaken } }

    /// When the partition's messages are to be sent again.
    func due(in uid: UInt32) -> Duration? { lanes[uid]?.schedule.due }

    mutating func beginTransaction() -> Int64? {
        guard !isInTransaction else { return nil }
        isInTransaction = true
        lastTransaction += 1
        return lastTransaction
    }

    mutating func endTransaction() { isInTransaction = false }

    // MARK: Handing over

    /// Takes all pieces or, when there is no room for them, none: then returns a delivery that must be settled first,
    /// and gives a ticket for the next attempt.
    mutating func add(
        _ arriving: [ProducerLane.Piece],
        ticket: inout UInt64?,
        now: Duration,
        _ effects: inout ProducerEffects
    ) throws(BrokerError) -> Delivery? {
        if let end { throw end }
        let count = arriving.reduce(0) { $0 + $1.delivery.messages }
        let size = arriving.reduce(0) { $0 + $1.delivery.bytes }
        let fits = messages + count <= settings.maximumInFlight && bytes + size <= settings.maximumInFlightBytes
        let isNext = tickets.first == ticket
        if !isNext || !fits, messages > 0 {
            if ticket == nil {
                lastTicket += 1
                ticket = lastTicket
                tickets.append(lastTicket)
            }
            return handed.first
        }
        giveBack(ticket)
        messages += count
        bytes += size
        for piece in arriving { add(piece, now: now, &effects) }
        return nil
    }

    /// Nobody waits with this ticket any more.
    mutating func giveBack(_ ticket: UInt64?) {
        guard let ticket else { return }
        tickets.removeAll { $0 == ticket }
    }

    private mutating func add(_ piece: ProducerLane.Piece, now: Duration, _ effects: inout ProducerEffects) {
        let log = piece.delivery.log
        lastNumber += 1
        let group = DeliverySchedule.Group(
            number: lastNumber,
            messages: piece.delivery.messages,
            bytes: piece.delivery.bytes,
            deadline: now + settings.deliveryTimeout
        )
        handed.append(piece.delivery)
        unsettled += 1
        lanes[log.uid, default: ProducerLane(log: log, schedule: DeliverySchedule(limits: settings.limits))]
            .pieces[lastNumber] = piece
        handle(.add(group), log.uid, now: now, &effects)
    }

    /// These partitions are gone for good. Of one that something is still on its way to the answer says so.
    mutating func forget(_ uids: [UInt32]) {
        for uid in uids where lanes[uid]?.pieces.isEmpty ?? false { lanes[uid] = nil }
    }

    /// How many partitions it keeps sequence numbers for.
    var laneCount: Int { lanes.count }

    // MARK: Sending

    /// The next batch to submit. Nil while another task submits: it takes this one too.
    mutating func beginSubmitting() -> Outgoing? {
        guard !isSubmitting else { return nil }
        return nextOutgoing()
    }

    /// The next one for the task that submits; nil ends its part.
    mutating func nextOutgoing() -> Outgoing? {
        isSubmitting = !outgoing.isEmpty
        return outgoing.popFirst()
    }

    mutating func answered(
        _ uid: UInt32,
        _ batch: UInt64,
        _ answer: DeliverySchedule.Answer,
        now: Duration,
        _ effects: inout ProducerEffects
    ) {
        if case .refused(let error as BrokerError, _, _) = answer, error.code == .fenced { end = end ?? error }
        handle(.answered(batch, answer), uid, now: now, &effects)
    }

    /// Sends again what is due.
    mutating func tick(now: Duration, _ effects: inout ProducerEffects) {
        for uid in lanes.keys.sorted() where due(in: uid).map({ $0 <= now }) ?? false {
            handle(.tick, uid, now: now, &effects)
        }
    }

    /// Takes nothing more; what is not on its way fails with `error`.
    mutating func end(_ error: BrokerError, now: Duration, _ effects: inout ProducerEffects) {
        end = end ?? error
        for uid in lanes.keys.sorted() { handle(.end(error), uid, now: now, &effects) }
    }

    private mutating func handle(
        _ event: DeliverySchedule.Event,
        _ uid: UInt32,
        now: Duration,
        _ effects: inout ProducerEffects
    ) {
        guard let actions = lanes[uid]?.schedule.handle(event, now: now) else { return }
        for action in actions {
            switch action {
            case .send(let batch): send(batch, uid)
            case .confirmed(let number, let offset): settle(number, uid, .success(offset ?? -1), &effects)
            case .failed(let number, let error): settle(number, uid, .failure(error), &effects)
            case .delayed: effects.woken += lanes[uid]?.deliveries ?? []
            }
        }
        forgetSettled()
    }

    private mutating func forgetSettled() {
        while let first = handed.first, first.isTaken { handed.removeFirst() }
        // Behind one that is tried for long many others may be settled.
        if handed.count > 2 * unsettled + 64 { handed.removeAll(where: \.isTaken) }
    }

    private mutating func send(_ batch: DeliverySchedule.Batch, _ uid: UInt32) {
        guard let lane = lanes[uid] else { return }
        let parts = batch.groups.compactMap { lane.pieces[$0.number]?.part }
        outgoing.append(Outgoing(log: lane.log, parts: parts, batch: batch))
    }

    private mutating func settle(
        _ number: UInt64,
        _ uid: UInt32,
        _ outcome: Delivery.Outcome,
        _ effects: inout ProducerEffects
    ) {
        guard let delivery = lanes[uid]?.pieces.removeValue(forKey: number)?.delivery else { return }
        delivery.take()
        unsettled -= 1
        messages -= delivery.messages
        bytes -= delivery.bytes
        effects.settled.append((delivery, outcome))
        // A partition that is gone never comes back under this number.
        if case .failure(let error as MessageError) = outcome, error.code == .unknownTopic,
            lanes[uid]?.pieces.isEmpty ?? false
        {
            lanes[uid] = nil
        }
    }
}
