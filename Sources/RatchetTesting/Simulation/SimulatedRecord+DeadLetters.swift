import Ratchet
import Synchronization

/// A delivery that ended as a dead letter.
struct DeadDelivery: Hashable, CustomStringConvertible {
    let message: String
    let partition: TopicPartition
    let offset: Int64
    let generation: Int64

    init(_ message: Message) {
        self.message = message.name
        (partition, offset, generation) = (message.topicPartition, message.offset, message.generation)
    }

    init(_ letter: DeadLetter) {
        let name = letter.headers.first { $0.name == Header.messageIDName }?.text
        message = name ?? String(decoding: letter.payload, as: UTF8.self)
        (partition, offset, generation) = (letter.partition, letter.offset, letter.generation)
    }

    var description: String { "\(message) from \(partition), offset \(offset), generation \(generation)" }
}

extension SimulatedRecord {
    /// A pipeline says that it has put a message among the ledger's dead letters.
    func deadLettered(_ message: Message) { note(DeadDelivery(message)) }

    /// Records the dead letters that the ledger holds and of which no pipeline has told.
    func seeDeadLetters(in ledger: Ledger) {
        guard let found = deadLetters(in: ledger) else { return }
        for letter in found where !state.withLock({ $0.deadLettered.contains(letter) }) { note(letter) }
    }

    /// Looks in the ledger for all that was told; what is missing is a problem.
    func findDeadLetters(in ledger: Ledger) {
        guard let found = deadLetters(in: ledger) else { return }
        let missing = state.withLock { $0.deadLettered.subtracting(found) }.map(\.description).sorted()
        if !missing.isEmpty { add(problem: "dead letters that are not in the ledger: \(missing)") }
    }

    private func note(_ letter: DeadDelivery) {
        state.withLock { _ = $0.deadLettered.insert(letter) }
        let name = name(of: letter.partition, letter.generation)
        add { history in
            .deadLettered(
                history.message(letter.message),
                try history.partition(name),
                offset: letter.offset,
                generation: letter.generation
            )
        }
    }

    /// Nil if they cannot be read, which is a problem.
    private func deadLetters(in ledger: Ledger) -> [DeadDelivery]? {
        do {
            var found: [DeadDelivery] = []
            var last: UInt64 = 0
            while true {
                let letters = try ledger.reader.deadLetters(after: last)
                guard let end = letters.last else { return found }
                found += letters.map { DeadDelivery($0) }
                last = end.id
            }
        } catch {
            add(problem: "the dead letters cannot be read: \(error)")
            return nil
        }
    }
}
