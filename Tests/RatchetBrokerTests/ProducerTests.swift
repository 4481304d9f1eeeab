import LMDB
import Ratchet
import Synchronization
import Testing

@testable import RatchetBroker

@Suite struct ProducerTests {
    private let partition = TopicPartition("t", 0)

    /// Answers are lost, or requests, as the script says; nothing once it is at its end.
    private func configuration(_ faults: [ProducerFault?] = []) -> Broker.Configuration {
        var configuration = Broker.Configuration.quiet
        let script = Mutex(faults[...])
        configuration.producerFault = { script.withLock { $0.popFirst() ?? nil } }
        return configuration
    }

    private func retrying(idempotent: Bool = true) -> ProducerSettings {
        var settings = ProducerSettings()
        settings.isIdempotent = idempotent
        settings.retryDelay = .milliseconds(1)
        settings.maximumRetryDelay = .milliseconds(1)
        return settings
    }

    @Test("A confirmation says where the message is, and messages keep their order")
    func confirmations() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        try await broker.createTopic("t", partitions: 3)
        let producer = try await broker.producer()
        var confirmations: [RatchetBroker.Confirmation] = []
        for number in 0..<300 {
            confirmations.append(try await producer.enqueue(.text("\(number)", to: "t", partition: number % 3)))
        }
        for (number, confirmation) in confirmations.enumerated() {
            let metadata = try await confirmation.wait()
            #expect(metadata == RecordMetadata(partition: TopicPartition("t", number % 3), offset: Int64(number / 3)))
        }
        for number in 0..<3 {
            let texts = try await broker.texts(TopicPartition("t", number))
            #expect(texts == stride(from: number, to: 300, by: 3).map { "\($0)" })
        }
        try await broker.close()
    }

    @Test("A message whose answer was lost is sent again: with sequence numbers it is there once, without them twice")
    func lostAnswers() async throws {
        for isIdempotent in [true, false] {
            let broker = try await Broker.inMemory(configuration: configuration([.answerLost, nil, .requestLost]))
            try await broker.createTopic("t")
            let producer = try await broker.producer(retrying(idempotent: isIdempotent))
            var metadata: [RecordMetadata] = []
            for number in 0..<3 { metadata.append(try await producer.send(.text("\(number)", to: "t"))) }
            let texts = try await broker.texts(partition)
            #expect(texts == (isIdempotent ? ["0", "1", "2"] : ["0", "0", "1", "2"]))
            if isIdempotent { #expect(metadata.map(\.offset) == [0, 1, 2]) }
            try await broker.close()
        }
    }

    @Test("A callback is called once for each message, with its failure too")
    func callbacks() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        try await broker.createTopic("t")
        let producer = try await broker.producer()
        let notes = Notes<String>()
        for number in 0..<20 {
            try await producer.enqueue(.text("\(number)", to: "t")) { result in
                notes.add("\(number) at \((try? result.get().offset) ?? -1)")
            }
        }
        try await producer.flush()
        #expect(notes.all == (0..<20).map { "\($0) at \($0)" })
        try await broker.deleteTopic("t")
        let error = await #expect(throws: MessageError.self) {
            try await producer.enqueue(.text("x", to: "t")) { _ in }
        }
        #expect(error?.code == .unknownTopic)
        try await broker.close()
    }

    @Test("A full window waits, and lets no more messages wait than it has room for")
    func window() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        try await broker.createTopic("t")
        var settings = ProducerSettings()
        settings.maximumInFlight = 3
        let producer = try await broker.producer(settings)
        let gate = Gate()
        broker.storage.submit(
            WriteJob(byteCount: 0, reclaims: false) { _ in
                gate.wait()
            } done: { _ in
            }
        )
        let first = try await producer.enqueue(.text("0", to: "t"))
        for number in 1..<3 { _ = try await producer.enqueue(.text("\(number)", to: "t")) }
        let handed = Notes<Int>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = try await producer.enqueue(.text("3", to: "t"))
                handed.add(3)
            }
            // For the first one to be confirmed, which cannot be before the gate opens.
            while first.delivery.waiting < 1, handed.all.isEmpty { await Task.yield() }
            #expect(handed.all.isEmpty && first.result == nil)
            gate.open()
            try await group.waitForAll()
        }
        try await producer.flush()
        #expect(handed.all == [3])
        #expect(try await broker.texts(partition) == ["0", "1", "2", "3"])
        try await broker.close()
    }

    @Test("Who waits for room gets it in turn: small messages do not keep a large batch out")
    func turns() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        try await broker.createTopic("t")
        var settings = ProducerSettings()
        settings.maximumInFlight = 2
        let producer = try await broker.producer(settings)
        let gate = Gate()
        broker.storage.submit(
            WriteJob(byteCount: 0, reclaims: false) { _ in
                gate.wait()
            } done: { _ in
            }
        )
        let first = try await producer.enqueue(.text("first", to: "t"))
        let handed = Notes<String>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await producer.send((0..<3).map { .text("\($0)", to: "t") }) }
            while first.delivery.waiting < 1 { await Task.yield() }
            group.addTask {
                _ = try await producer.enqueue(.text("small", to: "t"))
                handed.add("small")
            }
            while first.delivery.waiting < 2, handed.all.isEmpty { await Task.yield() }
            #expect(handed.all.isEmpty)
            let waiting = first.delivery.waiting
            await #expect(throws: CancellationError.self) {
                try await withThrowingTaskGroup(of: Void.self) { inner in
                    inner.addTask { try await producer.send(.text("cancelled", to: "t")) }
                    while first.delivery.waiting <= waiting { await Task.yield() }
                    inner.cancelAll()
                    try await inner.waitForAll()
                }
            }
            gate.open()
            try await group.waitForAll()
        }
        try await producer.flush()
        #expect(try await broker.texts(partition) == ["first", "0", "1", "2", "small"])
        try await broker.close()
    }

    @Test("A partition that is tried for long does not make the messages of others pile up")
    func pileUp() async throws {
        let clock = ManualClock()
        var configuration = Broker.Configuration.quiet
        configuration.clock = clock
        let faults = Mutex<[ProducerFault?]>([.requestLost])
        configuration.producerFault = { faults.withLock { $0.popLast() ?? nil } }
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", partitions: 2)
        let producer = try await broker.producer()
        let stuck = try await producer.enqueue(.text("stuck", to: "t", partition: 0))
        for number in 0..<500 { try await producer.send(.text("\(number)", to: "t", partition: 1)) }
        #expect(stuck.result == nil)
        #expect(producer.held < 100)
        clock.advance(by: .seconds(1))
        #expect(try await stuck.wait().offset == 0)
        try await broker.close()
    }

    @Test("Without acknowledgement a send returns at once and sees no failure")
    func withoutAcks() async throws {
        let broker = try await Broker.inMemory(configuration: configuration([.requestLost, .answerLost]))
        try await broker.createTopic("t")
        var settings = ProducerSettings()
        settings.acks = .none
        let producer = try await broker.producer(settings)
        for number in 0..<3 {
            let metadata = try await producer.send(.text("\(number)", to: "t"))
            #expect(metadata == RecordMetadata(partition: partition, offset: -1))
            try await producer.flush()
        }
        #expect(try await broker.texts(partition) == ["1", "2"])
        try await broker.close()
    }

    @Test("A full broker's refusal is heeded: the message goes again until there is room, or until its time is up")
    func full() async throws {
        var configuration = configuration()
        configuration.maximumBytes = 1 << 20
        let clock = ManualClock()
        configuration.clock = clock
        let broker = try await Broker.inMemory(configuration: configuration)
        for topic in ["t", "other"] { try await broker.createTopic(topic) }
        var settings = ProducerSettings()
        settings.deliveryTimeout = .seconds(1)
        settings.retryDelay = .milliseconds(600)
        let producer = try await broker.producer(settings)
        let large = String(repeating: "x", count: 1 << 16)
        var fill = 0
        while fill < 100 {
            do { try await broker.send(.text(large, to: "other")) } catch { break }
            fill += 1
        }
        #expect(fill < 100)
        let late = try await producer.enqueue(.text(large, to: "t"))
        async let failed = #expect(throws: BrokerError.self) { try await late.wait() }
        await clock.waitForSleeper()
        clock.advance(by: .milliseconds(600))
        let error = await failed
        #expect(error?.code == .full && error?.isRetriable == true)

        async let sent = producer.send(.text(large, to: "t"))
        await clock.waitForSleeper()
        try await broker.deleteTopic("other")
        clock.advance(by: .milliseconds(600))
        #expect(try await sent.offset == 0)
        #expect(try await broker.texts(partition) == [large])
        try await broker.close()
    }

    @Test("A producer fences those that had its transactional id before, in every partition, after a restart too")
    func fencing() async throws {
        let directory = try TemporaryDirectory()
        var broker = try await Broker(at: directory.broker, configuration: configuration())
        try await broker.createTopic("t", partitions: 2)
        let settings = ProducerSettings(transactionalID: "orders")
        let first = try await broker.producer(settings)
        try await first.send(.text("1", to: "t", partition: 0))
        let second = try await broker.producer(settings)
        #expect(second.id == first.id)
        for number in 0..<2 {
            let error = await #expect(throws: BrokerError.self) {
                try await first.send(.text("zombie", to: "t", partition: number))
            }
            #expect(error?.code == .fenced)
        }
        #expect((first.failure as? BrokerError)?.code == .fenced)
        try await second.send(.text("2", to: "t", partition: 0))
        try await broker.close()

        broker = try await Broker(at: directory.broker, configuration: configuration())
        let third = try await broker.producer(settings)
        #expect(third.id == first.id && third.incarnation == 2)
        try await third.send(.text("3", to: "t", partition: 0))
        #expect(try await broker.texts(partition) == ["1", "2", "3"])
        #expect(try await broker.texts(TopicPartition("t", 1)).isEmpty)
        let other = try await broker.producer(ProducerSettings(transactionalID: "others"))
        #expect(other.id != third.id)
        try await broker.close()
    }

    @Test("A topic made anew under its name is another log: a producer goes on in it")
    func topicMadeAnew() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        try await broker.createTopic("t")
        let producer = try await broker.producer()
        for _ in 0..<2 { try await producer.send(.text("old", to: "t")) }
        try await broker.deleteTopic("t")
        try await broker.createTopic("t")
        #expect(try await producer.send(.text("new", to: "t")).offset == 0)
        #expect(try await broker.texts(partition) == ["new"])
        try await broker.close()
    }

    @Test("A producer that outlives many topics remembers only those that are there")
    func deletedTopics() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        try await broker.createTopic("kept")
        let producer = try await broker.producer()
        try await producer.send(.text("0", to: "kept"))
        for _ in 0..<5 {
            try await broker.createTopic("t", partitions: 2)
            for number in 0..<2 { try await producer.send(.text("x", to: "t", partition: number)) }
            try await broker.deleteTopic("t")
        }
        #expect(producer.laneCount == 1)
        #expect(try await producer.send(.text("1", to: "kept")).offset == 1)
        #expect(try await broker.texts(TopicPartition("kept", 0)) == ["0", "1"])
        try await broker.close()
    }

    @Test("As a sink it names the messages that were not confirmed, and all others are there")
    func sink() async throws {
        let broker = try await Broker.inMemory(configuration: configuration([.answerLost]))
        try await broker.createTopic("t", maximumMessageSize: 64)
        let producer = try await broker.producer(retrying())
        let long = String(repeating: "x", count: 64)
        let batch = try OutgoingBatch([
            .text("1", to: "t", key: "a"), .text(long, to: "t", key: "a"), .text("2", to: "nowhere"),
            .text("3", to: "t", key: "b"),
        ])
        let failures: [SinkFailure] = try await producer.send(batch)
        #expect(failures.map(\.index) == [1, 2])
        #expect(try await broker.texts(partition) == ["1", "3"])
        try await broker.close()
    }

    @Test("A batch beyond what one chunk holds is divided, and each message is where its confirmation says")
    func largeBatch() async throws {
        let broker = try await Broker.inMemory(configuration: configuration([.answerLost]))
        try await broker.createTopic("t")
        let producer = try await broker.producer(retrying())
        let messages = (0..<25_000).map { OutgoingMessage.text("\($0)", to: "t") }
        let places: [RecordMetadata] = try await producer.send(messages)
        #expect(places.map(\.offset) == Array(0..<25_000))
        #expect(try await broker.texts(partition) == (0..<25_000).map { "\($0)" })
        try await broker.close()
    }

    @Test("Closing waits for what was handed over; a closed broker fails what it did not write")
    func closing() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        try await broker.createTopic("t")
        let producer = try await broker.producer()
        let confirmation = try await producer.enqueue(.text("1", to: "t"))
        try await producer.close()
        #expect(try confirmation.result?.get().offset == 0)
        let closed = await #expect(throws: BrokerError.self) { try await producer.send(.text("2", to: "t")) }
        #expect(closed?.code == .closed)
        let other = try await broker.producer()
        try await broker.close()
        let error = await #expect(throws: BrokerError.self) { try await other.send(.text("3", to: "t")) }
        #expect(error?.code == .closed)
    }

    @Test("Settings out of their bounds are refused")
    func settings() async throws {
        let broker = try await Broker.inMemory(configuration: configuration())
        let wrong: [(inout ProducerSettings) -> Void] = [
            { $0.retries = -1 }, { $0.maximumInFlight = 0 }, { $0.deliveryTimeout = .zero },
            { $0.transactionalID = "not a name" },
        ]
        for change in wrong {
            var settings = ProducerSettings()
            change(&settings)
            let refused = settings
            let error = await #expect(throws: BrokerError.self) { try await broker.producer(refused) }
            #expect(error?.code == .invalidArgument)
        }
        try await broker.close()
    }

    @Test("An audit is told what the settings come to: nothing is sent again without acknowledgement")
    func audited() {
        var settings = ProducerSettings()
        #expect(settings.audited.acks == .known(.all) && settings.audited.isIdempotent == .known(true))
        #expect(settings.audited.deliveryTimeout == .known(.seconds(120)))
        settings.retries = 0
        #expect(settings.audited.deliveryTimeout == .known(.zero))
        settings.acks = .none
        #expect(settings.audited.acks == .known(.none) && settings.audited.isIdempotent == .known(false))
    }

    @Test("Transactional ids are bounded, and so are the producers that partitions remember")
    func bounds() async throws {
        var configuration = configuration()
        configuration.maximumTransactionalIDs = 1
        configuration.maximumProducerStates = 1
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        let named = try await broker.producer(ProducerSettings(transactionalID: "a"))
        let error = await #expect(throws: BrokerError.self) {
            try await broker.producer(ProducerSettings(transactionalID: "b"))
        }
        #expect(error?.code == .limitReached)
        try await named.send(.text("1", to: "t"))
        let other = try await broker.producer()
        let tooMany = await #expect(throws: BrokerError.self) { try await other.send(.text("2", to: "t")) }
        #expect(tooMany?.code == .limitReached)
        try await broker.close()
    }

    @Test("Names that nobody has used for long make room for new ones, unless their producer is there")
    func idleNames() async throws {
        var configuration = configuration()
        let time = ManualWallClock()
        configuration.time.monotonic = time.monotonic
        configuration.producerExpiry = .seconds(60)
        configuration.maximumTransactionalIDs = 2
        let broker = try await Broker.inMemory(configuration: configuration)
        let used = try await broker.producer(ProducerSettings(transactionalID: "used"))
        let id = try await broker.producer(ProducerSettings(transactionalID: "idle")).id
        time.advance(by: .seconds(60))
        let error = await #expect(throws: BrokerError.self) {
            try await broker.producer(ProducerSettings(transactionalID: "new"))
        }
        #expect(error?.code == .limitReached)
        time.advance(by: .milliseconds(1))
        _ = try await broker.producer(ProducerSettings(transactionalID: "new"))
        #expect(try await broker.producer(ProducerSettings(transactionalID: "used")).id == used.id)
        time.advance(by: .seconds(61))
        #expect(try await broker.producer(ProducerSettings(transactionalID: "idle")).id != id)
        #expect(used.failure == nil)
        try await broker.close()
    }

    @Test("A partition forgets a producer that was silent for too long, and the producer goes on all the same")
    func expiry() async throws {
        var configuration = configuration()
        let time = ManualWallClock()
        configuration.time.monotonic = time.monotonic
        configuration.producerExpiry = .seconds(60)
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t")
        let producer = try await broker.producer()
        try await producer.send(.text("1", to: "t"))
        let tables = broker.storage.tables
        time.advance(by: .seconds(60))
        try await broker.cleanProducers()
        #expect(try broker.storage.read { try $0.count(tables.sequences) } == 1)
        time.advance(by: .milliseconds(1))
        try await broker.cleanProducers()
        #expect(try broker.storage.read { try $0.count(tables.sequences) } == 0)
        #expect(try await producer.send(.text("2", to: "t")).offset == 1)
        try await broker.deleteTopic("t")
        #expect(try broker.storage.read { try $0.count(tables.sequences) } == 0)
        try await broker.close()
    }

    @Test("A wall clock that leaps forward forgets no producer early, whether the broker is open or not")
    func leapingClock() async throws {
        let (directory, wall, time) = (try TemporaryDirectory(), ManualWallClock(), ManualWallClock())
        var configuration = configuration()
        configuration.time = TimeSource(wall: wall.read, monotonic: time.monotonic)
        configuration.producerExpiry = .seconds(60)
        var broker = try await Broker(at: directory.broker, configuration: configuration)
        try await broker.createTopic("t")
        try await broker.producer().send(.text("1", to: "t"))
        wall.advance(by: .seconds(1_000_000))
        try await broker.cleanProducers()
        try await broker.close()
        wall.advance(by: .seconds(1_000_000))
        broker = try await Broker(at: directory.broker, configuration: configuration)
        let tables = broker.storage.tables
        func known() throws -> Int { try broker.storage.read { try $0.count(tables.sequences) } }
        // Half of it is believed to have passed meanwhile.
        time.advance(by: .seconds(30))
        try await broker.cleanProducers()
        #expect(try known() == 1)
        time.advance(by: .milliseconds(1))
        try await broker.cleanProducers()
        #expect(try known() == 0)
        try await broker.close()
    }
}
