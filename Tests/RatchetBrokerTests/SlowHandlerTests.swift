import Logging
import Ratchet
import ServiceLifecycle
import Testing

@testable import RatchetBroker

/// A handler that takes longer than the group waits for a silent member: real broker, real pipeline, the broker's time
/// by hand.
@Suite(.timeLimit(.minutes(30))) struct SlowHandlerTests {
    private static let topic = "orders"

    /// A group of one pipeline, whose handler waits until it is let.
    private struct Bench {
        let directory: TemporaryDirectory
        let clock = ManualClock()
        let broker: Broker
        let ledger: Ledger
        let source: ShownSource
        let pipeline: Pipeline<Message>
        let runs = Notes<Int64>()
        let gate = Latch()
        private let started = Latch()

        init(partitions: Int) async throws {
            directory = try TemporaryDirectory()
            var settings = Broker.Configuration.quiet
            settings.clock = clock
            settings.revokeTimeout = .seconds(3600)
            broker = try await Broker.inMemory(configuration: settings)
            try await broker.createTopic(topic, partitions: partitions)
            for partition in 0..<partitions { try await broker.send(.text("a", to: topic, partition: partition)) }
            var ledgerSettings = Ledger.Configuration.small
            ledgerSettings.isDurable = false
            ledgerSettings.logger = settings.logger
            ledger = try Ledger(at: directory.other, configuration: ledgerSettings)
            source = ShownSource(broker.subscribe(to: topic, as: "g"))
            var configuration = PipelineConfiguration()
            configuration.logger = settings.logger
            configuration.commitInterval = .seconds(3600)
            configuration.drainTimeout = .seconds(3600)
            let (runs, started, gate) = (runs, started, gate)
            pipeline = Pipeline(
                "billing",
                from: source,
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .positionOnly,
                configuration: configuration
            ) { message, _ in
                runs.add(message.offset)
                if runs.all.count == partitions { started.open() }
                await gate.wait()
            }
        }

        /// Runs the pipeline beside `body`, which begins when all handlers wait, and then shuts it down gracefully.
        func run(_ body: (ServiceGroup) async throws -> Void) async throws {
            let services = ServiceGroup(services: [pipeline], logger: broker.configuration.logger)
            async let running: Void = services.run()
            await started.wait()
            await polls()
            try await body(services)
            gate.open()
            await services.triggerGracefulShutdown()
            try await running
        }

        var member: GroupMember? { source.sessions.all.last?.session.member }

        /// Returns once the pipeline's session waits for the next event.
        func polls() async {
            while member?.isWaiting != true { await Task.yield() }
        }

        /// Lets so much time pass that whoever is silent is evicted.
        func outlastSessions() {
            for _ in 0..<5 {
                clock.advance(by: broker.configuration.sessionTimeout + .seconds(1))
                for group in broker.activeGroups { group.tick() }
            }
        }

        func close() async throws {
            await ledger.close()
            try await broker.close()
        }
    }

    @Test("A handler that is slow costs its member nothing: no rebalance, no redelivery, its effect once")
    func slowHandler() async throws {
        let bench = try await Bench(partitions: 1)
        let partition = TopicPartition(Self.topic, 0)
        try await bench.run { _ in
            let generation = try #require(bench.member?.generation(of: partition))
            bench.outlastSessions()
            #expect(bench.member?.generation(of: partition) == generation)
            bench.gate.open()
            await bench.pipeline.settled(through: [partition: 1])
            #expect(bench.member?.generation(of: partition) == generation)
        }
        #expect(bench.runs.all == [0])
        #expect(bench.pipeline.statistics.delivered == 1)
        #expect(try bench.ledger.totals().processed == 1)
        #expect(try bench.broker.offsets(group: "g")[partition]?.offset == 1)
        try await bench.close()
    }

    @Test("A member that drains for longer than the session timeout gives back what is settled and committed")
    func slowDrain() async throws {
        let bench = try await Bench(partitions: 2)
        try await bench.run { _ in
            let second = try await bench.broker.subscribe(to: Self.topic, as: "g").open()
            let given = Task { try await second.nextAssigned() }
            let waiting = try #require((second as? BrokerSession)?.member)
            while !waiting.isWaiting { await Task.yield() }
            await bench.polls()
            bench.outlastSessions()
            #expect(waiting.isWaiting)
            bench.gate.open()
            let assigned = try await given.value
            #expect(assigned.map { $0.committed?.offset } == [1])
            await second.close()
        }
        #expect(bench.runs.all == [0, 0])
        #expect(bench.pipeline.statistics.fenced == 0)
        #expect(try bench.ledger.totals().processed == 2)
        try await bench.close()
    }

    @Test("A member that shuts down stays one until what runs is settled and committed, however long that takes")
    func slowShutdown() async throws {
        let bench = try await Bench(partitions: 1)
        let partition = TopicPartition(Self.topic, 0)
        try await bench.run { services in
            await services.triggerGracefulShutdown()
            let session = try #require(bench.source.sessions.all.last)
            await session.paused.wait()
            await bench.polls()
            bench.outlastSessions()
            #expect(bench.member?.generation(of: partition) != nil)
        }
        #expect(bench.runs.all == [0])
        #expect(bench.pipeline.statistics.fenced == 0)
        #expect(try bench.broker.offsets(group: "g")[partition]?.offset == 1)
        try await bench.close()
    }
}

/// A subscription that shows the sessions it has opened.
final class ShownSource: Source {
    let sessions = Notes<ShownSession>()
    private let source: BrokerSubscription

    init(_ source: BrokerSubscription) { self.source = source }

    var cluster: String { source.cluster }
    var group: String { source.group }
    var system: String { source.system }

    func open() async throws -> any SourceSession {
        guard let session = try await source.open() as? BrokerSession else { preconditionFailure("another session") }
        let shown = ShownSession(session)
        sessions.add(shown)
        return shown
    }
}

/// A session that shows the broker's own, and when a partition is first paused.
final class ShownSession: SourceSession {
    let session: BrokerSession
    let paused = Latch()

    init(_ session: BrokerSession) { self.session = session }

    func next() async throws -> SourceEvent { try await session.next() }

    func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
        try await session.start(partition, at: offset, generation: generation)
    }

    func setPaused(_ isPaused: Bool, _ partition: TopicPartition) {
        session.setPaused(isPaused, partition)
        if isPaused { paused.open() }
    }

    func commit(_ commits: [OffsetCommit]) async throws { try await session.commit(commits) }

    func release(_ partitions: [TopicPartition]) async { await session.release(partitions) }

    func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
        try await session.message(at: offset, of: partition)
    }

    func close() async { await session.close() }
}
