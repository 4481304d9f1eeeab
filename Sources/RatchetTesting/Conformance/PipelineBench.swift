import Logging
import Ratchet
import ServiceLifecycleTestKit
import Synchronization

/// A topic of events, a group and a ledger, and the pipelines that a check runs over them.
final class PipelineBench: Sendable {
    enum Ending: Sendable {
        /// In good order: everything is settled and committed.
        case shutdown
        /// At once: what runs is let go, and nothing more is committed.
        case cancellation
    }

    private struct Started {
        var names: Set<String> = []
        var waiting: [(for: Set<String>, latch: Latch)] = []
    }

    private static let keys = 6
    private let trial: Trial
    private let topic: String
    private let partitions: Int
    private let group: String
    private let events: Int
    private let folder: RunFolder
    private let effects = StateTable<String, Int>("effects")
    private let started = Mutex(Started())

    init(_ trial: Trial, events: Int, partitions: Int = 1) async throws {
        self.trial = trial
        self.events = events
        self.partitions = partitions
        topic = try await trial.topic(partitions: partitions)
        group = trial.newName()
        folder = try RunFolder(inMemory: true)
    }

    func names(_ events: Range<Int>) -> [String] { events.map { "event-\($0)" } }

    /// How many messages are sent in vain.
    var repeats: Int { (0..<events).count { Self.isRepeated($0) } }

    private static func isRepeated(_ event: Int) -> Bool { event.isMultiple(of: 3) && event >= keys }

    /// Sends the events in order, and some again under the id that they had, in front of the next of their key.
    func produce(events: Range<Int>) async throws {
        trial.note("produces events \(events), some of them twice")
        var messages: [OutgoingMessage] = []
        for event in events {
            if Self.isRepeated(event) { messages.append(message(event - Self.keys)) }
            messages.append(message(event))
        }
        try await trial.broker.produce(messages)
    }

    private func message(_ event: Int) -> OutgoingMessage {
        let key = event % Self.keys
        return OutgoingMessage(
            to: topic,
            key: "key-\(key)",
            payload: Array("event-\(event)".utf8),
            headers: [.messageID("event-\(event)")],
            partition: partitions > 1 ? key % partitions : nil
        )
    }

    /// Opens the ledger for the body's time: the same one each time.
    func withLedger(_ body: (Ledger) async throws -> Void) async throws {
        var configuration = Ledger.Configuration()
        configuration.isDurable = false
        // Many checks may run in one process.
        configuration.quota = 256 << 20
        configuration.mapSize = 512 << 20
        configuration.logger = Self.silent
        let ledger = try Ledger(at: "\(folder.path)/ledger", configuration: configuration)
        do {
            try await body(ledger)
        } catch {
            await ledger.close()
            throw error
        }
        await ledger.close()
    }

    private static let silent = Logger(label: "conformance") { _ in SwiftLogNoOpLogHandler() }

    /// A pipeline that counts each event's effects in the ledger, and sends a receipt for each.
    func pipeline(
        _ ledger: Ledger,
        publishing output: (topic: String, sink: any Sink)? = nil
    ) async throws -> Pipeline<Message> {
        var configuration = PipelineConfiguration()
        configuration.clock = trial.settings.clock
        configuration.commitInterval = .milliseconds(20)
        configuration.partitionInFlight = 16
        configuration.inFlight = 48
        // Where positions disagree something is wrong with the source: said at once.
        configuration.resume.refusal = .endPipeline
        configuration.logger = Self.silent
        let effects = effects
        return Pipeline(
            "conformance",
            from: try await trial.broker.source(of: [topic], group: group),
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            publishingTo: output?.sink,
            configuration: configuration
        ) { message, context in
            context.onCommit { try $0.update(effects, message.text, default: 0) { $0 += 1 } }
            if let output {
                try context.publish(
                    OutgoingMessage(to: output.topic, key: message.key, payload: message.payload)
                )
            }
            self.note(message.text)
        }
    }

    /// Runs a pipeline until the handlers of these events were begun, in this run or before, and then ends it.
    func run(_ pipeline: Pipeline<Message>, until events: Range<Int>, endingWith ending: Ending) async throws {
        trial.note("runs a pipeline until it has handled the events \(events), then \(ending)")
        let seen = latch(of: events)
        try await testGracefulShutdown { shutdown in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await pipeline.run()
                    try self.trial.expect(seen.isOpen, "the pipeline ended by itself: \(pipeline.statistics)")
                }
                group.addTask { await seen.wait() }
                try await group.next()
                switch ending {
                case .shutdown: shutdown.triggerGracefulShutdown()
                case .cancellation: group.cancelAll()
                }
                do { try await group.waitForAll() } catch is CancellationError {}
            }
        }
        try Task.checkCancellation()
        trial.note("the pipeline has ended: \(pipeline.statistics)")
    }

    private func latch(of events: Range<Int>) -> Latch {
        let latch = Latch()
        started.withLock { $0.waiting.append((Set(names(events)), latch)) }
        note("")
        return latch
    }

    /// A handler has begun.
    private func note(_ event: String) {
        let latches = started.withLock { started in
            started.names.insert(event)
            return started.waiting.filter { $0.for.isSubset(of: started.names) }.map(\.latch)
        }
        for latch in latches { latch.open() }
    }

    /// Each event has had its effect once, and there is no other.
    func check(_ ledger: Ledger) throws {
        var counts: [String: Int] = [:]
        try ledger.reader.forEach(in: effects) { counts[$0] = $1 }
        for event in names(0..<events) {
            let count = counts[event] ?? 0
            try trial.expect(count == 1, "expected the effect of '\(event)' once, and it happened \(count) times")
        }
        try trial.expect(counts.count == events, "expected \(events) effects, and found \(counts.count)")
        let deadLetters = try ledger.reader.deadLetterCount()
        try trial.expect(deadLetters == 0, "expected no dead letters, and found \(deadLetters)")
    }
}
