import Logging
import Ratchet
import RatchetBroker

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a step of an experiment works with: a folder, messages to be sent, and somebody to tell what becomes of them.
struct Lab: Sendable {
    static let topic = "orders"
    /// How often each message had its effect, in the ledger.
    static let effects = StateTable<String, Int>("effects")

    let folder: String
    let messages: Int
    /// A broker that is not in the process, if there is one.
    let server: BrokerServer

    var effectFile: String { "\(folder)/effects" }
    var ledger: String { "\(folder)/ledger" }
    private var books: String { "\(folder)/acknowledged" }

    /// The ids of all messages.
    var ids: [String] { (1...messages).map { "m-\($0)" } }

    func message(_ id: String, to topic: String = Lab.topic) -> OutgoingMessage {
        OutgoingMessage(to: topic, key: id, payload: Array(id.utf8))
    }

    // MARK: Telling

    /// Tells at once: when this returns the lab knows it, whatever becomes of this process.
    func tell(_ kind: Line.Kind, _ id: String) { Terminal.output.write(Line(kind, id).text) }

    func tell(_ kind: Line.Kind, _ ids: some Sequence<String>) {
        Terminal.output.write(ids.map { Line(kind, $0).text }.joined())
    }

    /// Tells how many messages a second it took since `start`.
    func tellRate(_ count: Int, since start: ContinuousClock.Instant) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        tell(.rate, "\(Int(Double(count) / max(seconds, 1e-6)))")
    }

    // MARK: The sender's books

    /// Writes down what is confirmed, for the steps to come: a sender keeps what it has to send until then.
    func keep(_ account: Account) throws {
        let text = account.acknowledged.joined(separator: "\n")
        try Data(text.utf8).write(to: URL(filePath: books))
    }

    /// What the sender has no confirmation for, by its books.
    func unconfirmed() throws -> [String] {
        let text = String(decoding: try Data(contentsOf: URL(filePath: books)), as: UTF8.self)
        let confirmed = Set(text.split(separator: "\n").map(String.init))
        return ids.filter { !confirmed.contains($0) }
    }

    // MARK: Broker and ledger

    static let logger: Logger = {
        var logger = Logger(label: "loss-lab") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .critical
        return logger
    }()

    static var ledgerConfiguration: Ledger.Configuration {
        var configuration = Ledger.Configuration()
        configuration.logger = logger
        return configuration
    }

    static var pipelineConfiguration: PipelineConfiguration {
        var configuration = PipelineConfiguration()
        configuration.logger = logger
        return configuration
    }

    /// Opens the broker in the step's folder, and closes it in good order.
    func withBroker<R: Sendable>(
        _ change: (inout Broker.Configuration) -> Void = { _ in },
        _ body: (Broker) async throws -> R
    ) async throws -> R {
        var configuration = Broker.Configuration()
        configuration.logger = Self.logger
        change(&configuration)
        let broker = try await Broker(at: "\(folder)/broker", configuration: configuration)
        let result = try await body(broker)
        try await broker.close()
        return result
    }

    /// Sends all messages, one after the other, and tells those that are confirmed.
    func sendAll(_ broker: Broker) async throws {
        try await broker.createTopic(Self.topic)
        for id in ids {
            tell(.sent, id)
            try await broker.send(message(id))
            tell(.acknowledged, id)
        }
    }

    /// Sends with many messages on their way at once, waits for each one's confirm, and tells.
    func send(_ ids: some Sequence<String>, _ producer: Producer) async throws {
        let isConfirmed = producer.settings.acks != .none
        var confirmations: [Confirmation] = []
        for id in ids { confirmations.append(try await producer.enqueue(message(id))) }
        tell(.sent, ids)
        guard isConfirmed else { return }
        for confirmation in confirmations { _ = try await confirmation.wait() }
        tell(.acknowledged, ids)
    }

    /// Every message of the log has its effect.
    func processLog(_ broker: Broker) async throws {
        for partition in try broker.logEnds(of: Self.topic).keys.sorted(by: { $0.partition < $1.partition }) {
            for try await batch in try broker.read(partition) {
                tell(.effect, (0..<batch.count).map { batch[$0].text })
            }
        }
    }
}

extension Step {
    /// Every message of the log has its effect.
    static let processLog = Step.works { lab in
        try await lab.withBroker { try await lab.processLog($0) }
    }

    /// What the sender's books have no confirm for is sent, and confirmed.
    static let sendRest = Step.works { lab in
        try await lab.withBroker { try await lab.send(try lab.unconfirmed(), try await $0.producer()) }
    }

    /// All messages are sent, and confirmed.
    static let sendAll = Step.works { lab in
        try await lab.withBroker { try await lab.sendAll($0) }
    }
}
