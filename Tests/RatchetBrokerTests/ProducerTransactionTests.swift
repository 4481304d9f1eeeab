import LMDB
import Ratchet
import Synchronization
import Testing

@testable import RatchetBroker

@Suite struct ProducerTransactionTests {
    private struct Abandoned: Error {}

    private func opened(
        _ faults: [ProducerFault?] = [],
        clock: any Clock<Duration> = ContinuousClock()
    ) async throws -> Broker {
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        let script = Mutex(faults[...])
        configuration.producerFault = { script.withLock { $0.popFirst() ?? nil } }
        let broker = try await Broker.inMemory(configuration: configuration)
        for topic in ["in", "a", "b"] { try await broker.createTopic(topic, partitions: 2) }
        return broker
    }

    private func settings(_ name: String = "p") -> ProducerSettings {
        var settings = ProducerSettings(transactionalID: name)
        settings.retryDelay = .milliseconds(1)
        return settings
    }

    private func all(_ broker: Broker) async throws -> [String] {
        var texts: [String] = []
        for topic in ["a", "b"] {
            for number in 0..<2 { texts += try await broker.texts(TopicPartition(topic, number)) }
        }
        return texts
    }

    @Test("A transaction is seen as a whole, and not before it is committed")
    func commit() async throws {
        let broker = try await opened()
        let producer = try await broker.producer(settings())
        let value = try await producer.transaction { transaction in
            for number in 0..<4 {
                try transaction.send(.text("\(number)", to: number % 2 == 0 ? "a" : "b", partition: number / 2))
            }
            #expect(try await all(broker).isEmpty)
            return 42
        }
        #expect(value == 42)
        #expect(try await all(broker) == ["0", "2", "1", "3"])
        try await broker.close()
    }

    @Test("Of a transaction whose body throws nothing is there, and the next one works")
    func abort() async throws {
        let broker = try await opened()
        let producer = try await broker.producer(settings())
        await #expect(throws: Abandoned.self) {
            try await producer.transaction { transaction in
                try transaction.send(.text("gone", to: "a"))
                throw Abandoned()
            }
        }
        #expect(try await all(broker).isEmpty)
        try await producer.transaction { try $0.send(.text("there", to: "a")) }
        #expect(try await all(broker) == ["there"])
        try await broker.close()
    }

    @Test("One message that cannot be sent, and nothing of the transaction is")
    func fault() async throws {
        let broker = try await opened()
        let producer = try await broker.producer(settings())
        let error = await #expect(throws: MessageError.self) {
            try await producer.transaction { transaction in
                try transaction.send(.text("x", to: "a"))
                try transaction.send(.text("y", to: "nowhere"))
            }
        }
        #expect(error?.code == .unknownTopic)
        #expect(try await all(broker).isEmpty)
        try await broker.close()
    }

    @Test("Consumed offsets move with the messages, or not at all")
    func offsets() async throws {
        let broker = try await opened()
        for number in 0..<4 { try await broker.send(.text("\(number)", to: "in", partition: 0)) }
        let input = TopicPartition("in", 0)
        let session = try await broker.subscribe(to: "in", as: "g").open()
        let assignments = try await session.nextAssigned()
        try await session.start(assignments)
        let generation = assignments[0].generation
        let producer = try await broker.producer(settings())
        func commit(_ offset: Int64, generation: Int64) -> OffsetCommit {
            OffsetCommit(partition: input, offset: offset, generation: generation, metadata: "")
        }

        await #expect(throws: Abandoned.self) {
            try await producer.transaction { transaction in
                try transaction.send(.text("gone", to: "a"))
                try transaction.commit([commit(2, generation: generation)], of: session)
                throw Abandoned()
            }
        }
        #expect(try broker.offsets(group: "g").isEmpty)
        try await producer.transaction { transaction in
            try transaction.send(.text("there", to: "a"))
            try transaction.commit([commit(1, generation: generation)], of: session)
            try transaction.commit([commit(2, generation: generation)], of: session)
        }
        #expect(try broker.offsets(group: "g")[input]?.offset == 2)

        // As the session's own commit would be.
        for (wrong, code) in [
            (commit(3, generation: generation - 1), SourceError.Code.fenced),
            (commit(5, generation: generation), .invalidArgument),
        ] {
            let error = await #expect(throws: SourceError.self) {
                try await producer.transaction { transaction in
                    try transaction.send(.text("never", to: "a"))
                    try transaction.commit([wrong], of: session)
                }
            }
            #expect(error?.code == code)
        }
        await session.close()
        let gone = await #expect(throws: SourceError.self) {
            try await producer.transaction { transaction in
                try transaction.send(.text("never", to: "a"))
                try transaction.commit([commit(3, generation: generation)], of: session)
            }
        }
        #expect(gone?.code == .fenced)
        #expect(try broker.offsets(group: "g")[input]?.offset == 2)
        #expect(try await all(broker) == ["there"])
        try await broker.close()
    }

    @Test("A producer whose name another one has taken over commits nothing, not even what it began before")
    func fencing() async throws {
        let broker = try await opened()
        let first = try await broker.producer(settings())
        let error = await #expect(throws: BrokerError.self) {
            try await first.transaction { transaction in
                try transaction.send(.text("zombie", to: "a"))
                _ = try await broker.producer(settings())
            }
        }
        #expect(error?.code == .fenced)
        #expect(try await all(broker).isEmpty)
        try await broker.close()
    }

    @Test("Nor does one that is fenced by the very commit that its transaction would be in")
    func fencedInOneCommit() async throws {
        let directory = try TemporaryDirectory()
        let first = try await Broker(at: directory.broker, configuration: .quiet)
        try await first.createTopic("a")
        let zombie = try await first.producer(settings())
        try await first.close()

        let steps = WriterSteps()
        var configuration = Broker.Configuration.quiet
        configuration.writerTurns = { steps.ask($0) }
        let broker = try await Broker(at: directory.broker, configuration: configuration)
        let (tables, outcomes) = (broker.storage.tables, Notes<String>())
        let bounds = ProducerTable.Bounds(names: 10, expiry: .seconds(1), inUse: [])
        let open = WriteJob(byteCount: 0, reclaims: false) { transaction in
            try ProducerTable.open("p", bounds, now: 1, in: transaction, tables)
        } done: { [producers = broker.producers] result in
            if case .success(let opened) = result { producers.publish(opened) }
        }
        let routed = RoutedBatch(try OutgoingBatch([.text("zombie", to: "a")]), catalog: broker.catalog, now: 1)
        let commit = TransactionPiece.Commit(
            name: "p",
            producer: zombie.id,
            incarnation: zombie.incarnation,
            number: 1,
            offsets: nil
        )
        let messages = JointAppend(routed, owner: zombie.id, broker.producers, nil, now: 1)
        let piece = TransactionPiece(commit, messages, broker) { result in
            if case .failure(let error as BrokerError) = result { outcomes.add("\(error.code)") }
        }
        broker.storage.submit(open)
        broker.storage.submit(piece)
        while steps.run() {}
        #expect(outcomes.all == ["fenced"])
        #expect(try await broker.texts(TopicPartition("a", 0)).isEmpty)
        broker.abandon()
    }

    @Test("A commit whose answer was lost is made again and changes nothing; one that was not made is")
    func lostAnswers() async throws {
        let broker = try await opened([.answerLost, .answerLost, nil, .requestLost])
        let producer = try await broker.producer(settings())
        for text in ["1", "2"] { try await producer.transaction { try $0.send(.text(text, to: "a", partition: 0)) } }
        #expect(try await all(broker) == ["1", "2"])
        try await broker.close()
    }

    @Test("A commit whose answer was lost may be there, also where its producer is fenced before it asks again")
    func lostAnswerAndFence() async throws {
        let clock = ManualClock()
        let broker = try await opened([.answerLost], clock: clock)
        let producer = try await broker.producer(settings())
        async let committed: Void = producer.transaction { try $0.send(.text("1", to: "a", partition: 0)) }
        await clock.waitForSleeper()
        _ = try await broker.producer(settings())
        clock.advance(by: .seconds(1))
        do {
            try await committed
            Issue.record("a fenced producer has committed")
        } catch let error as BrokerError {
            #expect(error.code == .timedOut, "\(error)")
        }
        #expect(try await all(broker) == ["1"])
        try await broker.close()
    }

    @Test("A transaction is bounded in messages, in bytes and in time, and takes nothing once it is over")
    func bounds() async throws {
        let clock = ManualClock()
        let broker = try await opened(clock: clock)
        var settings = settings()
        settings.maximumTransactionMessages = 2
        settings.maximumTransactionBytes = 200
        settings.transactionTimeout = .seconds(1)
        let producer = try await broker.producer(settings)
        let kept = Notes<ProducerTransaction>()
        try await producer.transaction { transaction in
            let large = #expect(throws: BrokerError.self) {
                try transaction.send(.text(String(repeating: "x", count: 200), to: "a"))
            }
            #expect(large?.code == .limitReached)
            for text in ["1", "2"] { try transaction.send(.text(text, to: "a", partition: 0)) }
            let many = #expect(throws: BrokerError.self) { try transaction.send(.text("3", to: "a")) }
            #expect(many?.code == .limitReached)
            kept.add(transaction)
        }
        #expect(try await all(broker) == ["1", "2"])
        let over = #expect(throws: BrokerError.self) { try kept.all[0].send(.text("4", to: "a")) }
        #expect(over?.code == .transactionOver)
        let late = await #expect(throws: BrokerError.self) {
            try await producer.transaction { transaction in
                try transaction.send(.text("late", to: "a"))
                clock.advance(by: .milliseconds(1001))
            }
        }
        #expect(late?.code == .transactionOver)
        #expect(try await all(broker) == ["1", "2"])
        try await broker.close()
    }

    @Test("Transactions need a name, run one at a time, and commit offsets of one session of their own broker")
    func misuse() async throws {
        let broker = try await opened()
        let other = try await opened()
        let nameless = try await broker.producer()
        let session = try await broker.subscribe(to: "in", as: "g").open()
        let second = try await broker.subscribe(to: "in", as: "h").open()
        let foreign = try await other.subscribe(to: "in", as: "g").open()
        let unnamed = await #expect(throws: BrokerError.self) { try await nameless.transaction { _ in } }
        #expect(unnamed?.code == .invalidArgument)
        let producer = try await broker.producer(settings())
        try await producer.transaction { transaction in
            let nested = await #expect(throws: BrokerError.self) { try await producer.transaction { _ in } }
            #expect(nested?.code == .invalidArgument)
            try transaction.commit([], of: session)
            for wrong in [foreign, second] {
                let error = #expect(throws: BrokerError.self) { try transaction.commit([], of: wrong) }
                #expect(error?.code == .invalidArgument)
            }
        }
        try await broker.close()
        try await other.close()
    }
}
