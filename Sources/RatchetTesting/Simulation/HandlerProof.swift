public import Ratchet
import RatchetBroker

/// What a handler's own simulation adds to a scenario.
struct HandlerProof: Sendable {
    /// What the producers send, nil for messages that are made up.
    let messages: [SimulatedMessage]?
    /// The topics that the handler publishes to.
    let outputs: [String]
    let check: (@Sendable (SimulatedEnd) throws -> [String])?

    /// One producer's part of the messages, in order.
    func messages(of number: Int, producers: Int) -> [SimulatedMessage]? {
        messages.map { all in stride(from: number, to: all.count, by: producers).map { all[$0] } }
    }

    /// Asks at the end, once everything has come to rest.
    func verify(_ ledger: LedgerReader, _ node: BrokerNode, _ record: SimulatedRecord) async {
        do {
            if let idle = try idleness(ledger, record) { record.add(problem: idle) }
            guard let check else { return }
            let broker = try node.running()
            var published: [String: [Message]] = [:]
            for topic in outputs { published[topic] = try await Self.distinct(topic, broker) }
            let received = try await Self.distinct(World.topic, broker).filter { !ControlRecords.contain($0) }
            for problem in try check(SimulatedEnd(ledger: ledger, received: received, published: published)) {
                record.add(problem: problem)
            }
        } catch {
            record.add(problem: "the state at the end could not be checked: \(error)")
        }
    }

    /// What a topic holds, each `message-id` once.
    private static func distinct(_ topic: String, _ broker: Broker) async throws -> [Message] {
        var ids = Set<String>()
        var messages: [Message] = []
        for partition in try broker.describe(topic).partitions {
            for try await batch in try broker.read(partition.partition) {
                for index in 0..<batch.count where ids.insert(batch[index].name).inserted {
                    messages.append(batch[index])
                }
            }
        }
        return messages
    }

    /// A run in which no message got as far as the handler is sound, and proves nothing.
    private func idleness(_ ledger: LedgerReader, _ record: SimulatedRecord) throws -> String? {
        guard !record.hasStarted, let letter = try ledger.deadLetters(limit: 1).first else { return nil }
        let name = letter.headers.first { $0.name == Header.messageIDName }?.text ?? "one of them"
        let hint =
            messages == nil
            ? "`messages` was not given, and those that are made up have their ids as payloads"
            : "`messages` have to fit `decoding` and `identifiedBy`"
        return "the handler never ran: all \(try ledger.deadLetterCount()) messages became dead letters before it, "
            + "such as \(name), \(letter.errorType): \(letter.errorMessage); \(hint)"
    }
}

/// What a simulated run has left behind, once all faults are healed and nothing is left to do.
public struct SimulatedEnd: Sendable {
    /// The ledger, with the handlers' state. Not valid afterwards.
    public let ledger: LedgerReader
    /// The messages that the handlers were to process, each `message-id` once, partition by partition. A producer that
    /// gives up a send may leave out some of ``SimulatedHandler/messages``: what the handlers have done is to be compared
    /// with these.
    public let received: [Message]
    let published: [String: [Message]]

    /// What the handlers published to one of the outputs, in the order of the log, each `message-id` once: as a
    /// receiver sees it who knows a repeat by its id.
    public func published(to topic: String) -> [Message] { published[topic] ?? [] }
}
