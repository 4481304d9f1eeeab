import Ratchet
import Seeds
import Synchronization
import Testing

@testable import RatchetBroker

/// Producers that try again, against a broker that loses requests and answers and crashes in between.
@Suite struct ProducerSimulationTests {
    private static let messages = 60

    @Test("With sequence numbers each message is there once and in order, whatever is lost", arguments: Seed.some(12))
    func once(seed: Seed) async throws {
        let run = try await Run(seed, isIdempotent: true)
        for producer in run.producers {
            let expected = (0..<Self.messages).map { "\(producer.name) \($0)" }
            #expect(run.texts(of: producer) == expected, "\(seed)")
            // In whatever order the answers came through.
            #expect(producer.confirmed.count == expected.count, "\(seed)")
            #expect(Set(producer.confirmed) == Set(expected), "\(seed)")
        }
        #expect(run.crashes > 0, "\(seed)")
    }

    @Test("Without them nothing is lost either, and the order stays, but some messages are there twice")
    func twice() async throws {
        var repeats = 0
        for seed in Seed.some(6) {
            let run = try await Run(seed, isIdempotent: false)
            for producer in run.producers {
                let found = run.texts(of: producer)
                var seen: [String] = []
                for text in found where !seen.contains(text) { seen.append(text) }
                #expect(seen == (0..<Self.messages).map { "\(producer.name) \($0)" }, "\(seed)")
                repeats += found.count - seen.count
            }
        }
        #expect(repeats > 0)
    }

    @Test("What a fenced producer still sends is refused, across restarts too", arguments: Seed.some(6))
    func fenced(seed: Seed) async throws {
        let run = try await Run(seed, isIdempotent: true, isFenced: true)
        for producer in run.producers {
            let found = run.texts(of: producer)
            // All that it was told is there, once, and nothing that came after the fence.
            #expect(Set(producer.confirmed).isSubset(of: found), "\(seed)")
            #expect(found == (0..<found.count).map { "\(producer.name) \($0)" }, "\(seed)")
            #expect(found.count == run.fence[producer.name], "\(seed)")
            #expect(producer.failures.contains { ($0 as? BrokerError)?.code == .fenced }, "\(seed)")
        }
    }

    @Test("Tasks that share a producer lose nothing over a link that loses much", arguments: Seed.some(4))
    func sharedProducer(seed: Seed) async throws {
        let random = Mutex(seed.random)
        var configuration = Broker.Configuration.quiet
        configuration.producerFault = {
            random.withLock { random in
                random.chance(40) ? (random.chance(50) ? .requestLost : .answerLost) : nil
            }
        }
        let broker = try await Broker.inMemory(configuration: configuration)
        try await broker.createTopic("t", partitions: 2)
        var settings = ProducerSettings()
        settings.retryDelay = .microseconds(100)
        settings.maximumRetryDelay = .microseconds(500)
        settings.maximumInFlight = 16
        let producer = try await broker.producer(settings)
        let (tasks, count) = (4, 40)
        let places = try await withThrowingTaskGroup(of: [RecordMetadata].self) { group in
            for task in 0..<tasks {
                group.addTask {
                    var confirmations: [RatchetBroker.Confirmation] = []
                    for number in 0..<count {
                        let message = OutgoingMessage.text("\(task) \(number)", to: "t", partition: task % 2)
                        confirmations.append(try await producer.enqueue(message))
                    }
                    var places: [RecordMetadata] = []
                    for confirmation in confirmations { places.append(try await confirmation.wait()) }
                    return places
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(places.count == tasks * count, "\(seed)")
        // Of some that came again late the partition does not remember where they are.
        let known = places.filter { $0.offset >= 0 }
        #expect(Set(known).count == known.count && known.count > places.count / 2, "\(seed)")
        for number in 0..<2 {
            let texts = try await broker.texts(TopicPartition("t", number))
            #expect(texts.count == tasks * count / 2, "\(seed)")
            for task in 0..<tasks where task % 2 == number {
                let own = texts.filter { $0.hasPrefix("\(task) ") }
                #expect(own == (0..<count).map { "\(task) \($0)" }, "\(seed)")
            }
        }
        try await broker.close()
    }

    /// One history, and what it has left.
    private final class Run {
        var producers: [SimulatedProducer] = []
        var texts: [String] = []
        var crashes = 0
        /// How many messages of each producer were there when it was fenced.
        var fence: [String: Int] = [:]
        private let directory: TemporaryDirectory
        private var random: SeededRandom
        private var now = Duration.zero
        private var sent = 0

        init(_ seed: Seed, isIdempotent: Bool, isFenced: Bool = false) async throws {
            random = seed.random
            directory = try TemporaryDirectory()
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            try await broker.createTopic("t", partitions: 2)
            for number in 0..<3 {
                let opened = try await broker.producer(ProducerSettings(transactionalID: "p\(number)"))
                producers.append(
                    SimulatedProducer(
                        "p\(number)",
                        id: opened.id,
                        incarnation: opened.incarnation,
                        isIdempotent: isIdempotent,
                        partition: TopicPartition("t", number % 2),
                        faults: .init(),
                        seed: random.next()
                    )
                )
            }
            try await broker.close()
            while try await life(
                until: isFenced ? ProducerSimulationTests.messages / 2 : ProducerSimulationTests.messages
            ) {}
            if isFenced {
                try await takeOver()
                while try await life(until: ProducerSimulationTests.messages) {}
            }
            try await readAll()
        }

        func texts(of producer: SimulatedProducer) -> [String] {
            texts.filter { $0.hasPrefix(producer.name + " ") }
        }

        /// One life of the broker; false once everything is sent.
        private func life(until end: Int) async throws -> Bool {
            let steps = WriterSteps()
            var configuration = Broker.Configuration.quiet
            configuration.writerTurns = { steps.ask($0) }
            configuration.isDurable = false
            let broker = try await Broker(at: directory.broker, configuration: configuration)
            defer { broker.abandon() }
            let deadline = random.below(60) + 20
            for _ in 0..<deadline {
                now += .milliseconds(random.below(150))
                if sent < end, random.chance(70) {
                    for producer in producers { producer.add(sent, broker, now: now) }
                    sent += 1
                }
                for producer in producers { producer.step(broker, now: now) }
                if random.chance(60) { _ = steps.run() }
                if sent == end, producers.allSatisfy(\.isIdle) || !fence.isEmpty && producers.allSatisfy(\.hasFailed) {
                    return false
                }
            }
            // Some of what was submitted is written before the crash, and nobody hears of it.
            if random.chance(50) { _ = steps.run() }
            crashes += 1
            for producer in producers { producer.lose(broker, now: now) }
            return true
        }

        private func takeOver() async throws {
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            for producer in producers {
                _ = try await broker.producer(ProducerSettings(transactionalID: producer.name))
                let texts = try await broker.texts(producer.partition)
                fence[producer.name] = texts.count { $0.hasPrefix(producer.name + " ") }
            }
            try await broker.close()
        }

        private func readAll() async throws {
            let broker = try await Broker(at: directory.broker, configuration: .quiet)
            for number in 0..<2 { texts += try await broker.texts(TopicPartition("t", number)) }
            try await broker.close()
        }
    }
}
