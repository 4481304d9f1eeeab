import Ratchet
import RatchetBroker

/// Brokers that are restarted, and one that confirms too early.
enum StorageExperiments {
    static let all = [transientTopic, transientMessages, earlyConfirm]

    private static let transientTopic = Experiment(
        name: "transient-topic",
        title: "The broker is restarted",
        harm: .lost,
        leak: Variant("a transient topic", [send(isDurable: false), findNoTopic]),
        cure: Variant("a durable topic", [send(), .processLog])
    )

    private static let transientMessages = Experiment(
        name: "transient-messages",
        title: "The broker is restarted, and the topic is durable",
        harm: .lost,
        leak: Variant("transient messages: only the topic is left", [send(isPersistent: false), .processLog]),
        cure: Variant("persistent messages", [send(), .processLog])
    )

    private static func send(isDurable: Bool = true, isPersistent: Bool = true) -> Step {
        .works { lab in
            try await lab.withBroker { broker in
                try await broker.createTopic(Lab.topic, isDurable: isDurable)
                let messages = lab.ids.map { id in
                    var message = lab.message(id)
                    message.isPersistent = isPersistent
                    return message
                }
                lab.tell(.sent, lab.ids)
                try await broker.send(messages)
                lab.tell(.acknowledged, lab.ids)
            }
        }
    }

    private static let findNoTopic = Step.works { lab in
        try await lab.withBroker { broker in
            guard broker.topics().isEmpty else { throw LabError("the transient topic is still there") }
        }
    }

    // MARK: A confirm before the write

    private static let earlyConfirm = Experiment(
        name: "early-confirm",
        title: "Persistent messages, a durable topic, and the broker dies",
        harm: .lost,
        leak: Variant("confirmed before the write", [sendAndDie(confirmsAfterWrite: false), .processLog]),
        cure: Variant("confirmed after the write", [sendAndDie(confirmsAfterWrite: true), .processLog])
    )

    /// All messages are confirmed, and half of them must be written by then, when the process dies.
    private static func sendAndDie(confirmsAfterWrite: Bool) -> Step {
        .dies { lab in
            try await lab.withBroker {
                // What may wait for its write does.
                $0.maximumUnwrittenTime = .seconds(3600)
            } _: { broker in
                try await broker.createTopic(Lab.topic, confirmsAfterWrite: confirmsAfterWrite)
                let producer = try await broker.producer()
                try await lab.send(lab.ids.prefix(lab.messages / 2), producer)
                // A write, and all that was confirmed before is written with it.
                try await broker.createTopic("written")
                try await lab.send(lab.ids.dropFirst(lab.messages / 2), producer)
                OwnProcess.die()
            }
        }
    }
}
