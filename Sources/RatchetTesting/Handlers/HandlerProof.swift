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
        guard let check else { return }
        do {
            let broker = try node.running()
            var published: [String: [Message]] = [:]
            for topic in outputs {
                var ids = Set<String>()
                for try await batch in try broker.read(TopicPartition(topic, 0)) {
                    for index in 0..<batch.count where ids.insert(batch[index].name).inserted {
                        published[topic, default: []].append(batch[index])
                    }
                }
            }
            for problem in try check(SimulatedEnd(ledger: ledger, published: published)) {
                record.add(problem: problem)
            }
        } catch {
            record.add(problem: "the state at the end could not be checked: \(error)")
        }
    }
}

/// What a simulated run has left behind, once all faults are healed and nothing is left to do.
public struct SimulatedEnd: Sendable {
    /// The ledger, with the handlers' state. Not valid afterwards.
    public let ledger: LedgerReader
    let published: [String: [Message]]

    /// What the handlers published to one of the outputs, in the order of the log, each `message-id` once: as a
    /// receiver sees it who knows a repeat by its id.
    public func published(to topic: String) -> [Message] { published[topic] ?? [] }
}
