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
        leak: Variant("confirmed when received", [.dies { try await sendAndDie($0, .none) }, .processLog]),
        cure: Variant("confirmed when written", [.dies { try await sendAndDie($0, .all) }, .sendRest, .processLog])
    )

    /// Tells what is confirmed by callbacks; the disk stands still when half of the messages are written, and then the
    /// process dies.
    private static func sendAndDie(_ lab: Lab, _ acks: Acks) async throws {
        try await lab.withBroker { broker in
            try await broker.createTopic(Lab.topic)
            var settings = ProducerSettings()
            settings.acks = acks
            let producer = try await broker.producer(settings)
            for (index, id) in lab.ids.enumerated() {
                if index == lab.messages / 2 { try await broker.stopDisk() }
                lab.tell(.sent, id)
                try await producer.enqueue(lab.message(id)) { outcome in
                    if case .success = outcome { lab.tell(.acknowledged, id) }
                }
            }
            OwnProcess.die()
        }
    }
}
