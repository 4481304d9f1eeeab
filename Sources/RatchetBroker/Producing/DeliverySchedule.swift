import DequeModule
import Ratchet

/// What a producer does with its messages for one partition: which go out together, which go again and when, and when
/// it gives up. Keeps their order.
///
/// A message that fails for good takes with it all that is behind it by then, so none is written after one that its
/// sender believes to have failed. Sequence numbers then begin anew in the next epoch, as they do when the partition
/// has lost what it knew.
struct DeliverySchedule {
    /// The bounds.
    struct Limits: Sendable {
        /// How often a batch is sent again.
        var retries: Int
        /// The delays between attempts.
        var delays: RetryPolicy
        /// The most batches that are on their way at once: one without sequence numbers, else their order could be
        /// lost.
        var batches: Int
        /// The most messages of a batch.
        var messages: Int
        /// The most bytes of a batch, unless it is of one group.
        var bytes: Int
    }

    /// Messages that were handed over together and are never separated.
    struct Group: Equatable, Sendable {
        var number: UInt64
        var messages: Int
        var bytes: Int
        /// No attempt begins later.
        var deadline: Duration
    }

    /// What is sent at once.
    struct Batch: Equatable, Sendable {
        var number: UInt64
        var groups: [Group]
        /// How often the sequence numbers have begun anew.
        var restarts: Int32
        /// Of the first message.
        var sequence: Int32
        var attempt = 1

        var messages: Int { groups.reduce(0) { $0 + $1.messages } }
        var sequences: ClosedRange<Int32> { sequence...sequence + Int32(messages) - 1 }
    }

    enum Answer {
        /// It is in the log; nil when the broker no longer knows where.
        case written(offset: Int64?)
        /// It was not written, or that is not known.
        case refused(any Error, isRetriable: Bool, isUnwritten: Bool)
        /// Nothing was written, as a batch before it is missing.
        case gap
    }

    enum Event {
        case add(Group)
        case answered(UInt64, Answer)
        case tick
        /// Nothing can be sent any more.
        case end(any Error)
    }

    enum Action {
        case send(Batch)
        /// The offset of the group's first message, nil when the broker no longer knows it.
        case confirmed(UInt64, offset: Int64?)
        case failed(UInt64, any Error)
        /// Something is to be sent again: a tick is wanted at ``due``.
        case delayed
    }

    private enum Standing {
        case sent
        case refused(any Error)
        case gap
    }

    /// The most restarts that an epoch has room for.
    static let maximumRestarts = Int32(UInt16.max)

    private let limits: Limits
    private var waiting = Deque<Group>()
    /// In the order of their sequence numbers. What an attempt has left in doubt no later refusal makes sure: `doubt` is
    /// the first such answer.
    private var inFlight: [(batch: Batch, standing: Standing, doubt: (any Error)?)] = []
    private var lastNumber: UInt64 = 0
    private var sequence: Int32 = 0
    private var restarts: Int32 = 0
    /// Why all that is left fails, once every answer is there.
    private var failure: (any Error)?
    /// When what was refused goes again; nil when nothing is refused, or answers are missing.
    private(set) var due: Duration?
    private var isExhausted = false

    init(limits: Limits) { self.limits = limits }

    /// Whether nothing is left to do.
    var isIdle: Bool { waiting.isEmpty && inFlight.isEmpty }

    mutating func handle(_ event: Event, now: Duration) -> [Action] {
        switch event {
        case .add(let group):
            if isExhausted { return [.failed(group.number, Self.exhausted)] }
            waiting.append(group)
            return isHeld ? [] : fill()
        case .answered(let number, let answer):
            return answered(number, answer, now: now)
        case .tick:
            guard let due, due <= now else { return [] }
            self.due = nil
            return sendAgain()
        case .end(let error):
            failure = failure ?? error
            return awaitsAnswers ? [] : giveUp(error)
        }
    }

    /// Whether new batches must wait: something before them is not written.
    private var isHeld: Bool {
        failure != nil
            || inFlight.contains {
                if case .sent = $0.standing { false } else { true }
            }
    }

    private var awaitsAnswers: Bool {
        inFlight.contains {
            if case .sent = $0.standing { true } else { false }
        }
    }

    private mutating func answered(_ number: UInt64, _ answer: Answer, now: Duration) -> [Action] {
        guard let index = inFlight.firstIndex(where: { $0.batch.number == number }) else { return [] }
        var actions: [Action] = []
        switch answer {
        case .written(let offset):
            actions = confirm(inFlight.remove(at: index).batch, at: offset)
        case .refused(let error, let isRetriable, let isUnwritten):
            inFlight[index].standing = .refused(error)
            // With its topic all of it is gone for sure.
            let isGone = (error as? MessageError)?.code == .unknownTopic
            if isGone { inFlight[index].doubt = nil }
            if !isUnwritten, inFlight[index].doubt == nil { inFlight[index].doubt = error }
            let batch = inFlight[index].batch
            if !isRetriable || batch.attempt > limits.retries || now + delay(batch) > batch.groups[0].deadline {
                failure = failure ?? error
            }
        case .gap:
            inFlight[index].standing = .gap
            // The partition has not even those before it.
            inFlight[index].doubt = nil
        }
        return awaitsAnswers && isHeld ? actions : actions + goOn(now: now)
    }

    /// Goes on once it is known what became of everything that was sent.
    private mutating func goOn(now: Duration) -> [Action] {
        if let failure { return giveUp(failure) }
        guard let (head, standing, _) = inFlight.first, isHeld else { return fill() }
        if case .gap = standing {
            // With nothing missing before it: the partition has lost what it knew, and holds nothing from here on.
            guard head.sequence > 0 else {
                let lost = BrokerError(
                    .outOfSequence,
                    "the first batch of a producer's epoch was refused as a later one"
                )
                return giveUp(lost)
            }
            guard restarts < Self.maximumRestarts else { return giveUp(Self.exhausted) }
            beginAnew()
            return sendAgain()
        }
        due = now + delay(head)
        return [.delayed]
    }

    private func delay(_ batch: Batch) -> Duration {
        limits.delays.delay(afterAttempt: batch.attempt, random: 0.5)
    }

    private mutating func sendAgain() -> [Action] {
        inFlight.indices.map { index in
            if case .refused = inFlight[index].standing { inFlight[index].batch.attempt += 1 }
            inFlight[index].standing = .sent
            return .send(inFlight[index].batch)
        }
    }

    /// Sequence numbers begin at 0, in the next epoch; what is in flight takes its place there.
    private mutating func beginAnew() {
        restarts += 1
        sequence = 0
        for index in inFlight.indices {
            inFlight[index].batch.restarts = restarts
            inFlight[index].batch.sequence = sequence
            sequence = inFlight[index].batch.sequences.upperBound + 1
        }
    }

    private mutating func giveUp(_ error: any Error) -> [Action] {
        var actions: [Action] = []
        for (batch, standing, doubt) in inFlight {
            let last: any Error = if case .refused(let error) = standing { error } else { Self.behind(error) }
            let own = doubt ?? last
            actions += batch.groups.map { .failed($0.number, own) }
        }
        actions += waiting.map { .failed($0.number, Self.behind(error)) }
        inFlight = []
        waiting = []
        failure = nil
        due = nil
        if restarts < Self.maximumRestarts { beginAnew() } else { isExhausted = true }
        return actions
    }

    private static func behind(_ error: any Error) -> BrokerError {
        BrokerError(.predecessorFailed, "a message before it in its partition was not written: \(error)")
    }

    private static let exhausted = BrokerError(
        .limitReached,
        "\(maximumRestarts) sends of this producer to one partition have failed: open another producer"
    )

    private func confirm(_ batch: Batch, at offset: Int64?) -> [Action] {
        var next = offset
        return batch.groups.map { group in
            defer { next = next.map { $0 + Int64(group.messages) } }
            return .confirmed(group.number, offset: next)
        }
    }

    private mutating func fill() -> [Action] {
        var actions: [Action] = []
        while inFlight.count < limits.batches, let batch = nextBatch() {
            inFlight.append((batch, .sent, nil))
            actions.append(.send(batch))
        }
        return actions
    }

    private mutating func nextBatch() -> Batch? {
        guard let first = waiting.first else { return nil }
        if Int(sequence) + max(first.messages, limits.messages) > Int(Int32.max) {
            // The numbers are used up: a later epoch must not overtake what is on its way.
            guard inFlight.isEmpty else { return nil }
            beginAnew()
        }
        lastNumber += 1
        var batch = Batch(number: lastNumber, groups: [], restarts: restarts, sequence: sequence)
        var (messages, bytes) = (0, 0)
        while let next = waiting.first {
            let fits = messages + next.messages <= limits.messages && bytes + next.bytes <= limits.bytes
            guard fits || batch.groups.isEmpty else { break }
            batch.groups.append(next)
            messages += next.messages
            bytes += next.bytes
            waiting.removeFirst()
        }
        sequence = batch.sequences.upperBound + 1
        return batch
    }
}
