import Ratchet
import Seeds
import Synchronization

@testable import RatchetBroker

/// Gives a broker's writer its turns when the test says so.
final class WriterSteps: Sendable {
    private let turns = Mutex<[@Sendable () -> Void]>([])

    func ask(_ turn: @escaping @Sendable () -> Void) { turns.withLock { $0.append(turn) } }

    /// Runs what was asked for; whether there was something.
    func run() -> Bool {
        let due = turns.withLock { turns in
            defer { turns = [] }
            return turns
        }
        for turn in due { turn() }
        return !due.isEmpty
    }

    /// Runs the first turn that was asked for; whether there was one.
    func runOne() -> Bool {
        let turn = turns.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        turn?()
        return turn != nil
    }
}

/// A producer that outlives its broker, as one on another machine does: sends numbered messages to one partition over a
/// link that loses requests and answers, and keeps what it does not know across the broker's restarts.
final class SimulatedProducer {
    /// The shares of what goes wrong, in percent.
    struct Faults {
        var requestLost = 15
        var answerLost = 15
    }

    let name: String
    let id: Int64
    let incarnation: Int32
    let isIdempotent: Bool
    let partition: TopicPartition
    private let faults: Faults
    private var schedule: DeliverySchedule
    private var random: SeededRandom
    /// The text of each group.
    private var texts: [UInt64: String] = [:]
    private var last: UInt64 = 0
    /// Sent and not answered yet, in order.
    private var links: [Link] = []
    private(set) var confirmed: [String] = []
    private(set) var failures: [any Error] = []

    /// A batch on its way, and its answer on its way back.
    private final class Link: Sendable {
        let batch: UInt64
        let isLost: Bool
        let result = Mutex<Result<[Int64], any Error>?>(nil)

        init(_ batch: UInt64, isLost: Bool) {
            self.batch = batch
            self.isLost = isLost
        }
    }

    init(
        _ name: String,
        id: Int64,
        incarnation: Int32,
        isIdempotent: Bool,
        partition: TopicPartition,
        faults: Faults,
        seed: UInt64
    ) {
        self.name = name
        self.id = id
        self.incarnation = incarnation
        self.isIdempotent = isIdempotent
        self.partition = partition
        self.faults = faults
        var settings = ProducerSettings()
        settings.isIdempotent = isIdempotent
        var limits = settings.limits
        limits.messages = 4
        schedule = DeliverySchedule(limits: limits)
        random = SeededRandom(state: seed)
    }

    var isIdle: Bool { schedule.isIdle }
    var hasFailed: Bool { !failures.isEmpty }

    func add(_ number: Int, _ broker: Broker, now: Duration) {
        last += 1
        texts[last] = "\(name) \(number)"
        let group = DeliverySchedule.Group(number: last, messages: 1, bytes: 50, deadline: .seconds(1_000_000))
        perform(schedule.handle(.add(group), now: now), broker)
    }

    /// Hears what has come back, and sends again what is due.
    func step(_ broker: Broker, now: Duration) {
        while let link = links.first, let result = link.result.withLock({ $0 }) {
            links.removeFirst()
            answer(link.batch, link.isLost ? Self.lost : result, broker, now: now)
        }
        perform(schedule.handle(.tick, now: now), broker)
    }

    /// The broker has crashed: of what is on its way nothing is known.
    func lose(_ broker: Broker, now: Duration) {
        let lost = links
        links = []
        for link in lost { answer(link.batch, Self.lost, broker, now: now) }
    }

    private static let lost: Result<[Int64], any Error> = .failure(BrokerError(.timedOut, "no answer"))

    private func answer(
        _ batch: UInt64,
        _ result: Result<[Int64], any Error>,
        _ broker: Broker,
        now: Duration
    ) {
        perform(schedule.handle(.answered(batch, Producer.answer(result)), now: now), broker)
    }

    private func perform(_ actions: [DeliverySchedule.Action], _ broker: Broker) {
        for action in actions {
            switch action {
            case .send(let batch): send(batch, broker)
            case .confirmed(let number, _): confirmed.append(texts[number] ?? "")
            case .failed(_, let error): failures.append(error)
            case .delayed: break
            }
        }
    }

    private func send(_ batch: DeliverySchedule.Batch, _ broker: Broker) {
        let fate = random.below(100)
        let link = Link(batch.number, isLost: fate < faults.requestLost + faults.answerLost)
        links.append(link)
        guard fate >= faults.requestLost else { return link.result.withLock { $0 = Self.lost } }
        let messages = batch.groups.map {
            OutgoingMessage.text(texts[$0.number] ?? "", to: partition.topic, partition: partition.partition)
        }
        guard let outgoing = try? OutgoingBatch(messages) else { preconditionFailure("a message is refused") }
        let routed = RoutedBatch(outgoing, catalog: broker.catalog, now: 1)
        let stamp = ProducerStamp(
            producer: id,
            epoch: ProducerEpoch.value(incarnation: incarnation, restarts: batch.restarts),
            sequences: batch.sequences
        )
        let segment = Appender.Request.Segment(
            log: routed.segments[0].log,
            parts: [routed.part(0)],
            stamp: isIdempotent ? stamp : nil
        )
        broker.appender.submit(
            Appender.Request(segments: [segment]) { result in
                link.result.withLock { $0 = result }
            }
        )
    }
}
