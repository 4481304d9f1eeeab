import Ratchet
import ServiceLifecycle

/// The handlers of the standard scenario.
enum StandardHandlers {
    static func pipeline(_ member: SimulatedMember) -> any Service {
        let isTransactional = SeededGenerator(seed: member.seed, purpose: 2).firstIsEven
        return member.pipeline(
            decoding: .raw,
            identifiedBy: .messageID,
            handler: isTransactional ? inWriter(member.handling) : inTasks(member.handling)
        )
    }

    private static func inWriter(_ handling: SimulatedHandling) -> Pipeline<Message>.Handler {
        .inWriter { message, transaction in
            try handling.inTransaction(message) {
                try LedgerEffects.add(effect, of: message, in: transaction)
                try transaction.publish(receipt(of: message))
            }
        }
    }

    private static func inTasks(_ handling: SimulatedHandling) -> Pipeline<Message>.Handler {
        .inTasks { message, context in
            try await handling.around(message) {
                try context.publish(receipt(of: message))
                context.onCommit { try LedgerEffects.add(effect, of: message, in: $0) }
            }
        }
    }

    private static let effect = "counted"

    private static func receipt(of message: Message) -> OutgoingMessage {
        OutgoingMessage(to: World.receipts, key: message.key, payload: message.payload)
    }
}

extension SeededGenerator {
    /// What the first number says.
    fileprivate var firstIsEven: Bool {
        var copy = self
        return copy.next() & 1 == 0
    }
}
