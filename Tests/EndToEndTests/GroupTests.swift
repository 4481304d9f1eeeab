import Logging
import Ratchet
import RatchetBroker
import ServiceLifecycle
import Synchronization
import Testing

extension EndToEnd {
    @Test("Members of a group that join and leave under load: each effect once, all of them", .timeLimit(.minutes(30)))
    func joinAndLeave() async throws {
        let scratch = try Scratch()
        let broker = try await Broker(at: scratch.path("broker"), configuration: .silent)
        let ledger = try Ledger(at: scratch.path("ledger"), configuration: .silent)
        for topic in ["orders", "receipts"] { try await broker.createTopic(topic, partitions: 4) }
        let load = Load(broker: broker)
        async let published = load.run()

        // One member always stays while another joins, works and is followed by the next; some go without a word.
        var member = Member(broker, ledger)
        try await member.hasWorked()
        for cycle in 0..<8 {
            let next = Member(broker, ledger)
            try await next.hasWorked()
            try await member.leave(gracefully: !cycle.isMultiple(of: 3))
            member = next
        }
        load.stop()
        let count = try await published

        let ends = try broker.describe("orders").partitions.map { ($0.partition, $0.log.upperBound) }
        await member.pipeline.settled(through: Dictionary(uniqueKeysWithValues: ends))
        try await member.leave(gracefully: true)

        let totals = try ledger.totals()
        #expect(totals.processed == count.purchases && totals.deadLettered == 0)
        #expect(totals.duplicates == count.messages - count.purchases)
        #expect(try ledger.reader.count(Member.effects) == count.purchases)
        try ledger.reader.forEach(in: Member.effects) { id, times in
            if times != 1 { Issue.record("\(id) had its effect \(times) times") }
        }
        var receipts: Set<String> = []
        for partition in try broker.describe("receipts").partitions {
            for try await batch in try broker.read(partition.partition) {
                for index in 0..<batch.count { receipts.insert(batch[index].text) }
            }
        }
        #expect(receipts.count == count.purchases)
        await ledger.close()
        try await broker.close()
    }
}

/// A pipeline that is a member of the group, as a task of its own.
private struct Member {
    static let effects = StateTable<String, Int>("effects")
    /// How many messages it must have handled to have worked.
    private static let share = 500

    let pipeline: Pipeline<Message>
    private let group: ServiceGroup
    private let task: Task<Void, any Error>
    private let worked: AsyncStream<Void>

    init(_ broker: Broker, _ ledger: Ledger) {
        let (worked, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let handled = Mutex(0)
        var configuration = PipelineConfiguration()
        configuration.logger = .silent
        configuration.commitInterval = .milliseconds(50)
        let pipeline = Pipeline(
            "member",
            from: broker.subscribe(to: "orders", as: "billing"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .custom { _, message in try IdempotencyKey(message.text) },
            publishingTo: broker,
            configuration: configuration,
            transactional: { message, transaction in
                try transaction.update(Self.effects, message.text, default: 0) { $0 += 1 }
                try transaction.publish(OutgoingMessage(to: "receipts", key: message.key, payload: message.payload))
                let count = handled.withLock { count in
                    count += 1
                    return count
                }
                if count == Self.share { continuation.yield() }
            }
        )
        let group = ServiceGroup(services: [pipeline], logger: .silent)
        self.pipeline = pipeline
        self.group = group
        self.worked = worked
        task = Task {
            // Whoever waits for work that will not come has to hear of it.
            defer { continuation.finish() }
            try await group.run()
        }
    }

    /// Returns when it has handled its share.
    func hasWorked() async throws {
        for await _ in worked { return }
        try await task.value
        Issue.record("a member ended before it had worked")
    }

    /// Ends it: in good order, or by cancellation, which leaves what it was doing to others.
    func leave(gracefully: Bool) async throws {
        if gracefully {
            await group.triggerGracefulShutdown()
            try await task.value
        } else {
            task.cancel()
            _ = await task.result
        }
    }
}

/// Publishes without a pause until it is stopped.
private final class Load: Sendable {
    private let broker: Broker
    private let isStopped = Atomic(false)

    init(broker: Broker) { self.broker = broker }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Every message has an id of its own, and every fourth comes again in the next batch.
    func run() async throws -> (messages: Int, purchases: Int) {
        var messages = 0
        var purchases = 0
        var again: [String] = []
        while !isStopped.load(ordering: .relaxed) {
            let new = (purchases..<purchases + 100).map { "purchase-\($0)" }
            let batch = (again + new).map { OutgoingMessage(to: "orders", key: $0, payload: Array($0.utf8)) }
            again = new.enumerated().filter { $0.offset.isMultiple(of: 4) }.map(\.element)
            try await broker.send(batch)
            messages += batch.count
            purchases += new.count
        }
        return (messages, purchases)
    }
}

extension Logger {
    fileprivate static let silent = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
}

extension Broker.Configuration {
    fileprivate static var silent: Self {
        var configuration = Self()
        configuration.logger = .silent
        return configuration
    }
}

extension Ledger.Configuration {
    fileprivate static var silent: Self {
        var configuration = Self()
        configuration.logger = .silent
        return configuration
    }
}
