#if Kafka
    import Ratchet
    import RatchetTesting
    import Synchronization

    /// The history of a group whose members share a ledger, as it is recorded around them. Effects are rows of the ledger,
    /// one for each time, so that nothing that is done twice can look like once.
    final class GroupRecord: Sendable {
        /// An effect, told by where it came from.
        private struct Effect: Hashable {
            let message: String
            let partition: TopicPartition
            let offset: Int64
            let generation: Int64
        }

        private static let effects = StateTable<String, String>("recorded effects")

        private let recorder = HistoryRecorder()
        private let ledger: Ledger
        private let known = Mutex<Set<Effect>>([])

        init(_ ledger: Ledger) { self.ledger = ledger }

        var history: History { recorder.history }

        func record(_ make: (inout History) throws -> History.Event) rethrows { try recorder.record(make) }

        /// Records what became of a message.
        func record(
            _ message: Message,
            _ make: (MessageID, PartitionID, Int64, Int64) -> History.Event
        ) throws {
            try record { history in
                let partition = try history.partition(message.topicPartition)
                return make(history.message(message.text), partition, message.offset, message.generation)
            }
        }

        /// Records what a handler does with a message.
        func record(
            _ message: Message,
            _ make: (MessageID, PartitionID, Int64, Int64, OrderedKeyID) -> History.Event
        ) throws {
            try record { history in
                let partition = try history.partition(message.topicPartition)
                let key = history.key(String(decoding: message.key ?? [], as: UTF8.self), in: partition)
                return make(history.message(message.text), partition, message.offset, message.generation, key)
            }
        }

        // MARK: Effects

        /// The effect of a message, in its transaction.
        static func add(_ message: Message, in transaction: borrowing LedgerTransaction) throws {
            var number = 0
            while try transaction.get(effects, "\(message.text)\t\(number)") != nil { number += 1 }
            let place = "\(message.topic)\t\(message.partition)\t\(message.offset)\t\(message.generation)"
            try transaction.put(effects, "\(message.text)\t\(number)", place)
        }

        /// How often each message has had its effect.
        func counts() throws -> [String: Int] {
            var counts: [String: Int] = [:]
            try ledger.reader.forEach(in: Self.effects) { name, _ in
                counts[String(name.prefix { $0 != "\t" }), default: 0] += 1
            }
            return counts
        }

        /// A message's effect is durable.
        func see(_ message: Message) throws {
            try see(
                Effect(
                    message: message.text,
                    partition: message.topicPartition,
                    offset: message.offset,
                    generation: message.generation
                )
            )
        }

        /// Records what the ledger holds and nobody has told of yet, as a member that has lost a partition meanwhile.
        func seeAll() throws {
            var found: [Effect] = []
            try ledger.reader.forEach(in: Self.effects) { name, place in
                let parts = place.split(separator: "\t")
                guard parts.count == 4, let partition = Int(parts[1]), let offset = Int64(parts[2]),
                    let generation = Int64(parts[3])
                else { return }
                found.append(
                    Effect(
                        message: String(name.prefix { $0 != "\t" }),
                        partition: TopicPartition(String(parts[0]), partition),
                        offset: offset,
                        generation: generation
                    )
                )
            }
            for effect in found { try see(effect) }
        }

        private func see(_ effect: Effect) throws {
            guard known.withLock({ $0.insert(effect).inserted }) else { return }
            try record { history in
                .effect(
                    history.message(effect.message),
                    try history.partition(effect.partition),
                    offset: effect.offset,
                    generation: effect.generation
                )
            }
        }
    }
#endif
