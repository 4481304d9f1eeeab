import Ratchet
import ServiceLifecycle

/// The handlers of the standard scenario.
enum StandardHandlers {
    private static let table = StateTable<String, String>("effects")

    static func pipeline(_ member: SimulatedMember) -> any Service {
        let handling = member.handling
        if SeededGenerator(seed: member.seed, purpose: 2).firstIsEven {
            return Pipeline(
                "simulated",
                from: member.source,
                ledger: member.ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                publishingTo: member.sink,
                configuration: member.configuration,
                transactional: { message, transaction in
                    try handling.inTransaction(message) {
                        try take(message, in: transaction)
                        try transaction.publish(receipt(of: message))
                    }
                }
            )
        }
        return Pipeline(
            "simulated",
            from: member.source,
            ledger: member.ledger,
            decoding: .raw,
            identifiedBy: .messageID,
            publishingTo: member.sink,
            configuration: member.configuration
        ) { message, context in
            try await handling.around(message) {
                try context.publish(receipt(of: message))
                context.onCommit { try take(message, in: $0) }
            }
        }
    }

    private static func receipt(of message: Message) -> OutgoingMessage {
        OutgoingMessage(to: World.receipts, key: message.key, payload: message.payload)
    }

    /// One row for each time: nothing that is done twice can look like once.
    private static func take(_ message: Message, in transaction: borrowing LedgerTransaction) throws {
        let id = message.text
        var number = 0
        while try transaction.get(table, "\(id)#\(number)") != nil { number += 1 }
        let place = "\(message.partition) \(message.offset) \(message.generation)"
        try transaction.put(table, "\(id)#\(number)", place)
    }

    static func effects(_ reader: LedgerReader) throws -> [SimulatedEffect] {
        var effects: [SimulatedEffect] = []
        try reader.forEach(in: table) { key, place in
            let name = key.split(separator: "#")
            let numbers = place.split(separator: " ").compactMap { Int64($0) }
            guard name.count == 2, let number = Int(name[1]), numbers.count == 3 else { return }
            effects.append(
                SimulatedEffect(
                    message: String(name[0]),
                    partition: TopicPartition(World.topic, Int(numbers[0])),
                    offset: numbers[1],
                    generation: numbers[2],
                    number: number
                )
            )
        }
        return effects
    }
}

extension SeededGenerator {
    /// What the first number says.
    fileprivate var firstIsEven: Bool {
        var copy = self
        return copy.next() & 1 == 0
    }
}
