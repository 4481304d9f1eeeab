import Logging
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("A consumer that retention has overtaken", .timeLimit(.minutes(30)))
struct ResetPolicyTests {
    private static let partition = TopicPartition("t", 0)

    private static func pipeline(
        _ broker: Broker,
        _ ledger: Ledger,
        _ resume: ResumePolicy,
        _ notes: Notes<String>
    ) -> Pipeline<Message> {
        var configuration = PipelineConfiguration()
        configuration.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configuration.resume = resume
        return Pipeline(
            "p",
            from: broker.subscribe(to: "t", as: "g"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .positionOnly,
            configuration: configuration,
            transactional: { message, _ in notes.add(String(message.text.prefix(1))) }
        )
    }

    private static func run(_ pipeline: Pipeline<Message>, through offset: Int64) async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { try await pipeline.run() }
            await pipeline.settled(through: [partition: offset])
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
        }
    }

    @Test("It stops and says what is lost, or goes on at what is left or at the end, and counts what it lost")
    func policies() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", retention: Retention(time: nil, bytes: 3500))
        var settings = Ledger.Configuration.small
        settings.isDurable = false
        settings.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let ledger = try Ledger(at: directory.other, configuration: settings)
        let notes = Notes<String>()
        func send(_ texts: [String]) async throws {
            for text in texts {
                let payload = Array(text.utf8) + [UInt8](repeating: 0, count: 999)
                try await broker.send(OutgoingMessage(to: "t", payload: payload))
            }
        }
        try await send(["a", "b"])
        try await Self.run(Self.pipeline(broker, ledger, ResumePolicy(), notes), through: 2)
        try await send(["c", "d", "e", "f", "g"])
        #expect(try broker.describe("t").partitions[0].log == 4..<7)

        let error = await #expect(throws: ResumeError.self) {
            try await Self.pipeline(broker, ledger, ResumePolicy(refusal: .endPipeline), notes).run()
        }
        #expect(error?.code == .retentionPassed && error?.lost == 2..<4)
        #expect(error?.detail.contains("offsets 2 to 3") == true)

        let earliest = Self.pipeline(broker, ledger, ResumePolicy(outOfRange: .earliest), notes)
        try await Self.run(earliest, through: 7)
        #expect(notes.all == ["a", "b", "e", "f", "g"])
        #expect(earliest.statistics.lost == 2)

        try await send(["h", "i", "j", "k", "l"])
        let latest = Self.pipeline(broker, ledger, ResumePolicy(outOfRange: .latest), notes)
        try await Self.run(latest, through: 12)
        #expect(latest.statistics.lost == 5)
        try await send(["m"])
        try await Self.run(Self.pipeline(broker, ledger, ResumePolicy(), notes), through: 13)
        #expect(notes.all == ["a", "b", "e", "f", "g", "m"])
        await ledger.close()
        try await broker.close()
    }

    @Test(
        "One that is running goes on as its policy says, once what it was given is done",
        arguments: [ResumePolicy.OutOfRange.earliest, .latest, .fail]
    )
    func running(policy: ResumePolicy.OutOfRange) async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", retention: Retention(time: nil, bytes: 3500))
        var settings = Ledger.Configuration.small
        settings.isDurable = false
        settings.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let ledger = try Ledger(at: directory.other, configuration: settings)
        let (notes, isRunning, gate) = (Notes<String>(), Latch(), Latch())
        var configuration = PipelineConfiguration()
        configuration.logger = settings.logger
        configuration.resume = ResumePolicy(outOfRange: policy)
        // It takes one message and no more until that is done.
        configuration.partitionInFlight = 1
        let pipeline = Pipeline(
            "p",
            from: broker.subscribe(to: "t", as: "g"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .positionOnly,
            configuration: configuration
        ) { message, context in
            let text = String(message.text.prefix(1))
            isRunning.open()
            if text == "a" { await gate.wait() }
            context.onCommit { _ in notes.add(text) }
        }
        func send(_ texts: [String]) async throws {
            for text in texts {
                let payload = Array(text.utf8) + [UInt8](repeating: 0, count: 999)
                try await broker.send(OutgoingMessage(to: "t", payload: payload))
            }
        }
        try await send(["a"])
        try await withThrowingTaskGroup { group in
            group.addTask { try await pipeline.run() }
            await isRunning.wait()
            try await send(["b", "c", "d", "e", "f", "g"])
            #expect(try broker.describe("t").partitions[0].log == 4..<7)
            gate.open()
            switch policy {
            case .earliest:
                await pipeline.settled(through: [Self.partition: 7])
                #expect(notes.all == ["a", "e", "f", "g"])
                #expect(pipeline.statistics.lost == 3)
            case .latest:
                await pipeline.settled(through: [Self.partition: 7])
                try await send(["h"])
                await pipeline.settled(through: [Self.partition: 8])
                #expect(notes.all == ["a", "h"])
                #expect(pipeline.statistics.lost == 6)
            case .fail:
                await pipeline.settled(through: [Self.partition: 1])
                while pipeline.stoppedPartitions.isEmpty { await Task.yield() }
                let stopped = pipeline.stoppedPartitions[Self.partition]
                #expect(stopped?.code == .retentionPassed && stopped?.lost == 1..<4)
                #expect(notes.all == ["a"])
                #expect(pipeline.statistics.lost == 0)
            }
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
        }
        await ledger.close()
        try await broker.close()
    }

    @Test("A pipeline over a compacted topic settles through holes to the end")
    func compacted() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", cleanup: .compact)
        for (key, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("b", "5"), ("d", "6")] {
            try await broker.send(.text(value, to: "t", key: key))
        }
        try await broker.compact("t")
        var settings = Ledger.Configuration.small
        settings.isDurable = false
        settings.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let ledger = try Ledger(at: directory.other, configuration: settings)
        let notes = Notes<String>()
        try await Self.run(Self.pipeline(broker, ledger, ResumePolicy(), notes), through: 6)
        #expect(notes.all == ["3", "4", "5", "6"])
        await ledger.close()
        try await broker.close()
    }
}
