import Ratchet

/// Effects in the ledger: one row for each time, so that nothing that is done twice can look like once.
enum LedgerEffects {
    private static let table = StateTable<String, String>("simulated effects")

    static func add(_ name: String, of message: Message, in transaction: borrowing LedgerTransaction) throws {
        let id = message.name
        var number = 0
        while try transaction.get(table, "\(id)\t\(name)\t\(number)") != nil { number += 1 }
        let place = "\(message.partition) \(message.offset) \(message.generation)"
        try transaction.put(table, "\(id)\t\(name)\t\(number)", place)
    }

    static func all(_ reader: LedgerReader) throws -> [SimulatedEffect] {
        var effects: [SimulatedEffect] = []
        try reader.forEach(in: table) { key, place in
            let fields = key.split(separator: "\t", omittingEmptySubsequences: false)
            let numbers = place.split(separator: " ").compactMap { Int64($0) }
            guard fields.count == 3, let number = Int(fields[2]), numbers.count == 3 else { return }
            effects.append(
                SimulatedEffect(
                    message: String(fields[0]),
                    partition: TopicPartition(World.topic, Int(numbers[0])),
                    offset: numbers[1],
                    generation: numbers[2],
                    number: number,
                    name: String(fields[1])
                )
            )
        }
        return effects
    }
}
