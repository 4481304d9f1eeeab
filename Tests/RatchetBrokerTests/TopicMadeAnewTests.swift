import Logging
import Ratchet
import ServiceLifecycle
import Testing

@testable import RatchetBroker

/// A topic that is deleted and made anew while a pipeline consumes it.
@Suite(.timeLimit(.minutes(30))) struct TopicMadeAnewTests {
    private static let partition = TopicPartition("orders", 0)
    private static let counts = StateTable<String, Int>("counts")

    private static func ledger(_ directory: TemporaryDirectory) throws -> Ledger {
        var configuration = Ledger.Configuration.small
        configuration.isDurable = false
        configuration.logger = Broker.Configuration.quiet.logger
        return try Ledger(at: directory.other, configuration: configuration)
    }

    private static func pipeline(_ source: any Source, _ ledger: Ledger) -> Pipeline<Message> {
        var configuration = PipelineConfiguration()
        configuration.logger = Broker.Configuration.quiet.logger
        configuration.commitInterval = .milliseconds(1)
        return Pipeline(
            "billing",
            from: source,
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .positionOnly,
            configuration: configuration,
            transactional: { message, transaction in
                let text = String(decoding: message.payload, as: UTF8.self)
                try transaction.update(counts, text, default: 0) { $0 += 1 }
            }
        )
    }

    @Test("A pipeline goes on with the new topic from its first message, as often as it is made anew")
    func goesOn() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("orders")
        let ledger = try Self.ledger(directory)
        let ended = Latch()
        let pipeline = Self.pipeline(broker.subscribe(to: "orders", as: "g"), ledger)
        let services = ServiceGroup(services: [pipeline], logger: broker.configuration.logger)
        let running = Task {
            defer { ended.open() }
            try await services.run()
        }
        try await broker.send(.text("first", to: "orders"))
        while try ledger.reader.get(Self.counts, "first") == nil, !ended.isOpen { await Task.yield() }
        for round in 0..<40 {
            try await broker.deleteTopic("orders")
            try await broker.createTopic("orders")
            for number in 0..<5 { try await broker.send(.text("\(round)/\(number)", to: "orders")) }
            guard round % 3 == 0 else { continue }
            for number in 0..<5 {
                while try ledger.reader.get(Self.counts, "\(round)/\(number)") == nil, !ended.isOpen {
                    await Task.yield()
                }
            }
        }
        await services.triggerGracefulShutdown()
        try await running.value
        for round in stride(from: 0, to: 40, by: 3) {
            for number in 0..<5 { #expect(try ledger.reader.get(Self.counts, "\(round)/\(number)") == 1) }
        }
        try ledger.reader.forEach(in: Self.counts) { #expect($1 == 1, "\($0)") }
        #expect(try broker.offsets(group: "g")[Self.partition]?.offset == 5)
        await ledger.close()
        try await broker.close()
    }

    @Test("An assignment of the old topic that is begun only after the new one is there is taken for lost")
    func beginsLate() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("orders")
        try await broker.send(["a", "b", "c"].map { .text($0, to: "orders") })
        let ledger = try Self.ledger(directory)
        // The ledger stands at 3, and looks whether the record before is the one that it knows.
        for isRemade in [false, true] {
            let source = LateSource(broker.subscribe(to: "orders", as: "g")) {
                guard isRemade else { return }
                try await broker.deleteTopic("orders")
                try await broker.createTopic("orders")
                try await broker.send(["d", "e", "f", "g"].map { .text($0, to: "orders") })
            }
            let pipeline = Self.pipeline(source, ledger)
            let services = ServiceGroup(services: [pipeline], logger: broker.configuration.logger)
            let ended = Latch()
            let running = Task {
                defer { ended.open() }
                try await services.run()
            }
            let last = isRemade ? "g" : "c"
            while try ledger.reader.get(Self.counts, last) == nil, !ended.isOpen { await Task.yield() }
            await services.triggerGracefulShutdown()
            try await running.value
        }
        for text in ["a", "b", "c", "d", "e", "f", "g"] { #expect(try ledger.reader.get(Self.counts, text) == 1) }
        #expect(try broker.offsets(group: "g")[Self.partition]?.offset == 4)
        await ledger.close()
        try await broker.close()
    }

    @Test("A read that is under way when its partition goes is nobody's error")
    func readOfALostPartition() async throws {
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("orders")
        try await broker.send(.text("a", to: "orders"))
        let session = try #require(try await broker.subscribe(to: "orders", as: "g").open() as? BrokerSession)
        let assigned = try await session.nextAssigned()
        try await session.start(assigned)
        let fetch = try session.member.assignment(of: Self.partition)
        try await broker.deleteTopic("orders")
        #expect(try session.member.read(fetch) == nil)
        #expect(try await session.nextLost() == [Self.partition])
        let error = await #expect(throws: SourceError.self) { try await session.message(at: 0, of: Self.partition) }
        #expect(error?.code == .notAssigned)
        try await broker.close()
    }
}

/// A subscription during whose first assignment something else happens.
private final class LateSource: Source {
    private let source: BrokerSubscription
    private let meanwhile: @Sendable () async throws -> Void

    init(_ source: BrokerSubscription, _ meanwhile: @escaping @Sendable () async throws -> Void) {
        self.source = source
        self.meanwhile = meanwhile
    }

    var cluster: String { source.cluster }
    var group: String { source.group }
    var system: String { source.system }

    func open() async throws -> any SourceSession { Session(try await source.open(), meanwhile) }

    private final class Session: SourceSession {
        private let session: any SourceSession
        private let meanwhile: @Sendable () async throws -> Void
        private let happened = Latch()

        init(_ session: any SourceSession, _ meanwhile: @escaping @Sendable () async throws -> Void) {
            self.session = session
            self.meanwhile = meanwhile
        }

        func next() async throws -> SourceEvent {
            let event = try await session.next()
            if case .assigned = event, !happened.isOpen {
                happened.open()
                try await meanwhile()
            }
            return event
        }

        func start(_ partition: TopicPartition, at offset: Int64, generation: Int64) async throws {
            try await session.start(partition, at: offset, generation: generation)
        }

        func setPaused(_ paused: Bool, _ partition: TopicPartition) { session.setPaused(paused, partition) }

        func commit(_ commits: [OffsetCommit]) async throws { try await session.commit(commits) }

        func release(_ partitions: [TopicPartition]) async { await session.release(partitions) }

        func message(at offset: Int64, of partition: TopicPartition) async throws -> Message? {
            try await session.message(at: offset, of: partition)
        }

        func close() async { await session.close() }
    }
}
