import Seeds
import Testing

@testable import RatchetBroker

/// A shared group under random consumers, answers, deaths and crashes, beside a model of what may be.
private struct Model {
    struct Broken: Error, CustomStringConvertible { let description: String }

    private static let spread = 24
    private static let limit = 4
    private var random: SeededRandom
    private var core: SharedGroup
    private var logs: [Range<Int64>]
    private var now = Duration.zero
    private var lastConsumer: Int64 = 0
    private var lastRequest: UInt64 = 0

    // The disk, and writes that were taken and not committed yet.
    private var rows: [Int: SharedRow] = [:]
    private var letters: Set<Place> = []
    private var writes: [(write: SharedGroup.Write, letters: [SharedGroup.DeadLetter])] = []
    private var isOwed = false
    private var isHealed = false

    // What consumers and callers know.
    private struct Place: Hashable {
        let partition: Int
        let offset: Int64
    }
    private struct Channel {
        let id: Int64
        let prefetch: Int
        var held: [Int64: Place] = [:]
        var lastTag: Int64 = 0
    }
    private var channels: [Channel] = []
    private var requests: [UInt64: [Place]] = [:]
    private var confirmed: Set<Place> = []
    /// How often each message was delivered in this process, and in those before that are counted for sure.
    private var counts: [Place: Int] = [:]
    private var everDelivered: Set<Place> = []
    private var removed: Set<Place> = []
    private(set) var crashes = 0
    private(set) var deliveries = 0

    init(_ seed: Seed) {
        random = seed.random
        logs = Array(repeating: 0..<0, count: random.below(3) + 1)
        core = Self.opened(logs, [:])
    }

    private static func opened(_ logs: [Range<Int64>], _ rows: [Int: SharedRow]) -> SharedGroup {
        SharedGroup(
            partitions: logs.enumerated().map { SharedPartition(rows[$0.offset], log: $0.element) },
            limits: SharedGroup.Limits(
                spread: spread,
                deliveryLimit: limit,
                hasDeadLetterTopic: true,
                maximumConsumers: 10,
                sessionTimeout: .seconds(10)
            )
        )
    }

    mutating func run(steps: Int) throws {
        for _ in 0..<steps {
            now += .milliseconds(random.below(400))
            try step()
            try check()
        }
        try drain()
    }

    private mutating func step() throws {
        switch random.below(100) {
        case ..<15: grow()
        case ..<20: join()
        case ..<45: if let channel = anyChannel { try tell(.ask(channels[channel].id, most: random.below(8) + 1)) }
        case ..<48: if let channel = anyChannel { try tell(.unask(channels[channel].id)) }
        case ..<75: try answer()
        case ..<90: try commit()
        case ..<93: if let channel = anyChannel { try leave(channel) }
        case ..<96: try tell(.tick)
        case ..<98: try trim()
        default: try crash()
        }
    }

    private var anyChannel: Int? {
        mutating get { channels.isEmpty ? nil : random.below(channels.count) }
    }

    private mutating func grow() {
        let partition = random.below(logs.count)
        logs[partition] = logs[partition].lowerBound..<logs[partition].upperBound + Int64(random.below(20))
        do { try tell(.log(partition: partition, logs[partition])) } catch { preconditionFailure("\(error)") }
    }

    private mutating func trim() throws {
        let partition = random.below(logs.count)
        let log = logs[partition]
        guard log.count > 20 else { return }
        let start = log.lowerBound + Int64(random.below(6))
        for offset in log.lowerBound..<start { removed.insert(Place(partition: partition, offset: offset)) }
        logs[partition] = start..<log.upperBound
        try tell(.log(partition: partition, logs[partition]))
    }

    private mutating func join() {
        guard channels.count < 4 else { return }
        lastConsumer += 1
        let prefetch = random.below(9) + 1
        channels.append(Channel(id: lastConsumer, prefetch: prefetch))
        do { try tell(.join(lastConsumer, prefetch: prefetch, autoAck: false)) } catch {
            preconditionFailure("\(error)")
        }
    }

    private mutating func leave(_ channel: Int) throws {
        let id = channels.remove(at: channel).id
        try tell(.leave(id))
    }

    /// Of one delivery, or of all up to one; sometimes with a tag that must be refused.
    private mutating func answer() throws {
        guard let channel = anyChannel, let tag = channels[channel].held.keys.sorted().randomElement(using: &random)
        else { return }
        let isMultiple = random.chance(30)
        let places = channels[channel].held.filter { isMultiple ? $0.key <= tag : $0.key == tag }
        let answers: [SharedGroup.Answer] = [.ack, .ack, .ack, .requeue, .reject]
        let answer = answers[random.below(answers.count)]
        for tag in places.keys { channels[channel].held[tag] = nil }
        lastRequest += 1
        if answer != .requeue {
            requests[lastRequest] = Array(places.values)
        }
        let id = channels[channel].id
        try tell(.settle(id, through: isMultiple ? tag : nil, tags: isMultiple ? [] : [tag], answer, lastRequest))
        lastRequest += 1
        refused = nil
        try tell(.settle(id, through: nil, tags: [tag], .ack, lastRequest))
        guard refused == .settledTag(tag) else { throw Broken(description: "tag \(tag) was answered twice") }
    }

    private var refused: SharedGroup.Refusal?

    /// Takes a write, or has the oldest that was taken succeed, or all of them fail, which share a transaction.
    private mutating func commit() throws {
        if !isHealed, random.chance(10) {
            if isOwed, random.chance(50) {
                isOwed = false
                return try tell(.notPersisted(nil))
            }
            let failed = writes
            writes = []
            for (write, letters) in failed {
                if !letters.isEmpty { try tell(.notDeadLettered(letters)) }
                try tell(.notPersisted(write))
            }
        } else if isOwed, random.chance(60) {
            isOwed = false
            writes.append((core.takeWrite(), []))
        } else if !writes.isEmpty {
            let (write, letters) = writes.removeFirst()
            for (partition, row) in write.rows { rows[partition] = row }
            for letter in letters {
                let place = Place(partition: letter.partition, offset: letter.offset)
                guard self.letters.insert(place).inserted else { throw Broken(description: "\(place) died twice") }
            }
            if !letters.isEmpty { try tell(.deadLettered(letters)) }
            try tell(.persisted(write))
        }
    }

    /// Only what is written is left.
    private mutating func crash() throws {
        crashes += 1
        core = Self.opened(logs, rows)
        (writes, channels, requests, isOwed) = ([], [], [:], false)
        counts = [:]
        for (partition, row) in rows {
            for (index, count) in row.slots.enumerated() {
                if let count { counts[Place(partition: partition, offset: row.settled + Int64(index))] = Int(count) }
            }
        }
    }

    private mutating func tell(_ event: SharedGroup.Event) throws {
        for action in core.handle(event, now: now) { try perform(action) }
    }

    private mutating func perform(_ action: SharedGroup.Action) throws {
        switch action {
        case .deliver(let id, let deliveries): for delivery in deliveries { try deliver(delivery, to: id) }
        case .persist:
            guard !isOwed else { throw Broken(description: "a write was asked for twice") }
            isOwed = true
        case .confirm(let ids): for id in ids { confirmed.formUnion(requests.removeValue(forKey: id) ?? []) }
        case .refuse(_, let reason): refused = reason
        case .deadLetter(let letters, _):
            if random.chance(20) { return try tell(.notDeadLettered(letters)) }
            try tell(.deadLetterWritten(letters))
            writes.append((core.takeWrite(isAsked: false), letters))
        case .evicted(let id): channels.removeAll { $0.id == id }
        case .withdraw(let id, let tags): throw Broken(description: "\(id) lost \(tags), and no log was cut")
        }
    }

    private mutating func deliver(_ delivery: SharedGroup.Delivery, to id: Int64) throws {
        deliveries += 1
        let place = Place(partition: delivery.partition, offset: delivery.offset)
        guard let channel = channels.firstIndex(where: { $0.id == id }) else {
            throw Broken(description: "\(place) was delivered to \(id), which is gone")
        }
        guard delivery.tag == channels[channel].lastTag + 1 else {
            throw Broken(description: "tag \(delivery.tag) after \(channels[channel].lastTag)")
        }
        channels[channel].lastTag = delivery.tag
        if confirmed.contains(place) || letters.contains(place) {
            throw Broken(description: "\(place) was delivered after its answer was confirmed")
        }
        if let other = channels.first(where: { $0.held.values.contains(place) }) {
            throw Broken(description: "\(place) was delivered to \(id) while it was \(other.id)'s")
        }
        channels[channel].held[delivery.tag] = place
        guard channels[channel].held.count <= channels[channel].prefetch else {
            throw Broken(description: "\(id) has more than its prefetch")
        }
        counts[place, default: 0] += 1
        guard delivery.count == counts[place] else {
            throw Broken(
                description: "\(place) was delivered \(counts[place] ?? 0) times, and counts \(delivery.count)"
            )
        }
        if !everDelivered.insert(place).inserted, !delivery.isRedelivered {
            throw Broken(description: "\(place) was delivered before, and is not marked")
        }
    }

    private func check() throws {
        guard core.partitions.allSatisfy({ $0.span <= Self.spread }) else {
            throw Broken(description: "more than the spread is remembered")
        }
    }

    /// With one consumer that acks everything, all that was not answered comes, and nothing else.
    private mutating func drain() throws {
        isHealed = true
        while !channels.isEmpty { try leave(0) }
        lastConsumer += 1
        channels = [Channel(id: lastConsumer, prefetch: 100)]
        try tell(.join(lastConsumer, prefetch: 100, autoAck: false))
        for _ in 0..<100_000 {
            try tell(.ask(lastConsumer, most: 100))
            let held = channels[0].held
            channels[0].held = [:]
            lastRequest += 1
            requests[lastRequest] = Array(held.values)
            if !held.isEmpty {
                try tell(.settle(lastConsumer, through: nil, tags: held.keys.sorted(), .ack, lastRequest))
            }
            if held.isEmpty, !isOwed, writes.isEmpty { break }
            while isOwed || !writes.isEmpty { try commit() }
        }
        for (partition, log) in logs.enumerated() {
            for offset in log {
                let place = Place(partition: partition, offset: offset)
                guard confirmed.contains(place) || letters.contains(place) else {
                    throw Broken(description: "\(place) was lost")
                }
            }
            guard rows[partition]?.settled ?? 0 >= log.upperBound || log.isEmpty else {
                throw Broken(
                    description: "partition \(partition) is at \(String(describing: rows[partition])) of \(log)"
                )
            }
        }
    }
}

@Suite struct SharedGroupModelTests {
    @Test(
        "None is lost, none is two consumers' at once, and no confirmed answer is forgotten",
        arguments: Seed.some(40)
    )
    func random(_ seed: Seed) throws {
        var model = Model(seed)
        try model.run(steps: 1500)
        #expect(model.deliveries > 100)
    }
}
