import Logging
import Ratchet
import Testing

@testable import RatchetBroker

@Suite("The audit of the in-process broker reads what is set")
struct BrokerAuditTests {
    private static func verdicts(_ report: AuditReport) -> [String: AuditCheck.Verdict] {
        report.checks.reduce(into: [:]) { $0[$1.name] = $1.verdict }
    }

    @Test("A sound chain on one machine lacks nothing but replicas and a window that time alone ends")
    func sound() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t")
        var settings = Ledger.Configuration.small
        settings.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        settings.window = DeduplicationWindow(time: .seconds(7 * 86_400), overflow: .pause)
        let ledger = try Ledger(at: directory.other, configuration: settings)
        func pipeline(_ keys: KeySource<Message>) -> Pipeline<Message> {
            Pipeline(
                "p",
                from: broker.subscribe(to: "t", as: "g"),
                ledger: ledger,
                decoding: .raw,
                identifiedBy: keys,
                transactional: { _, _ in }
            )
        }
        let producer = ProducerSettings()
        let report = try broker.audit(
            topic: "t",
            producer: producer.audited,
            consumer: pipeline(.messageID).audited
        )
        let wrong = report.checks.filter { $0.verdict != .pass }
        #expect(wrong.map(\.name) == ["topic.replication-factor"], "\(report)")

        var leaky = producer
        leaky.acks = .none
        leaky.isIdempotent = false
        let verdicts = Self.verdicts(
            try broker.audit(topic: "t", producer: leaky.audited, consumer: pipeline(.positionOnly).audited)
        )
        #expect(verdicts["producer.acks"] == .fail)
        #expect(verdicts["producer.idempotence"] == .fail)
        #expect(verdicts["consumer.idempotency-keys"] == .warn)
        await ledger.close()
        try await broker.close()
    }

    @Test("A broker in memory, a ledger that is not synced and retention without end are named")
    func leaky() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t", cleanup: .compact)
        var settings = Ledger.Configuration.small
        settings.isDurable = false
        settings.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let ledger = try Ledger(at: directory.other, configuration: settings)
        let pipeline = Pipeline(
            "p",
            from: broker.subscribe(to: "t", as: "g"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            transactional: { _, _ in }
        )
        let verdicts = Self.verdicts(try broker.audit(topic: "t", consumer: pipeline.audited))
        #expect(verdicts["topic.durable"] == .fail && verdicts["topic.persistent-messages"] == .fail)
        #expect(verdicts["topic.retention"] == .warn)
        #expect(verdicts["ledger.durable"] == .fail && verdicts["ledger.window"] == .warn)
        #expect(verdicts["producer.acks"] == nil)
        #expect(throws: BrokerError.self) { try broker.audit(topic: "u") }
        await ledger.close()
        try await broker.close()
    }

    @Test("A queue without limit and dead letters, and a pipeline that begins at the log's end, are named")
    func queueAndStart() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker.inMemory(configuration: .quiet)
        try await broker.createTopic("t")
        var settings = Ledger.Configuration.small
        settings.logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let ledger = try Ledger(at: directory.other, configuration: settings)
        var configuration = PipelineConfiguration()
        configuration.resume.first = .latest
        let pipeline = Pipeline(
            "p",
            from: broker.subscribe(to: "t", as: "g"),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            configuration: configuration,
            transactional: { _, _ in }
        )
        let leaky = Self.verdicts(
            try broker.audit(topic: "t", queue: QueueSettings().audited, consumer: pipeline.audited)
        )
        #expect(leaky["queue.dead-letter-topic"] == .warn && leaky["queue.delivery-limit"] == .warn)
        #expect(leaky["consumer.start"] == .warn)
        let cured = QueueSettings(deliveryLimit: 5, deadLetterTopic: "dead").audited
        let verdicts = Self.verdicts(try broker.audit(topic: "t", queue: cured))
        #expect(verdicts["queue.dead-letter-topic"] == .pass && verdicts["queue.delivery-limit"] == .pass)
        #expect(verdicts["consumer.start"] == nil)
        await ledger.close()
        try await broker.close()
    }

    @Test("Transient messages, a limit of size and compaction are found: what they remove nobody need have read")
    func removed() async throws {
        let directory = try TemporaryDirectory()
        let broker = try await Broker(at: directory.broker, configuration: .quiet)
        try await broker.createTopic("t", partitions: 2)
        #expect(Self.verdicts(try broker.audit(topic: "t"))["topic.persistent-messages"] == .pass)
        #expect(Self.verdicts(try broker.audit(topic: "t"))["topic.size-limit"] == .pass)
        #expect(Self.verdicts(try broker.audit(topic: "t"))["topic.compaction"] == .pass)
        try await broker.send(OutgoingMessage(to: "t", key: "k", payload: [1], partition: 1, isPersistent: false))
        try await broker.alterTopic("t", retention: Retention(time: nil, bytes: 1_000), cleanup: .both)
        let report = try broker.audit(topic: "t")
        let verdicts = Self.verdicts(report)
        #expect(verdicts["topic.persistent-messages"] == .fail)
        #expect(verdicts["topic.size-limit"] == .warn && verdicts["topic.compaction"] == .warn, "\(report)")
        #expect(report.checks.first { $0.name == "topic.size-limit" }?.found == "1000 bytes")
        try await broker.close()
    }
}
