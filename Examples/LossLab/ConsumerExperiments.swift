import Ratchet
import RatchetBroker

/// Consumers that die.
enum ConsumerExperiments {
    static let all = [autoAck, commitBefore, commitAfter]

    // MARK: A queue

    private static let autoAck = Experiment(
        name: "auto-ack",
        title: "A queue's consumer dies with messages in its hands",
        harm: .lost,
        leak: Variant("auto-ack", [.sendAll, .dies { try await takeAndDie($0, autoAck: true) }, rest]),
        cure: Variant("ack after the work", [.sendAll, .dies { try await takeAndDie($0, autoAck: false) }, rest])
    )

    private static func queue(_ broker: Broker) -> BrokerQueue { broker.queue(Lab.topic, as: "billing") }

    /// Takes messages, does the work of half of them, and dies.
    private static func takeAndDie(_ lab: Lab, autoAck: Bool) async throws {
        try await lab.withBroker { broker in
            let count = lab.messages / 5
            let consumer = try await queue(broker).consumer(prefetch: count, autoAck: autoAck)
            var taken: [QueueDelivery] = []
            while taken.count < count { taken += try await consumer.next(maximum: count - taken.count) }
            // One thread writes in turn: once this is written, so is what the queue knows of its deliveries.
            try await broker.createTopic("written")
            for delivery in taken.prefix(count / 2) {
                lab.tell(.effect, delivery.message.text)
                if !autoAck { try await consumer.ack(delivery.tag) }
            }
            OwnProcess.die()
        }
    }

    /// Empties the queue.
    private static let rest = Step.works { lab in
        try await lab.withBroker { broker in
            let consumer = try await queue(broker).consumer()
            while true {
                let deliveries = try await consumer.next()
                for delivery in deliveries { lab.tell(.effect, delivery.message.text) }
                guard let last = deliveries.last else { break }
                try await consumer.ack(last.tag, multiple: true)
                // Nothing comes back: what lies in front of the last message was delivered before it.
                if last.message.offset == Int64(lab.messages - 1) { break }
            }
            consumer.close()
        }
    }

    // MARK: A log

    private static let commitBefore = Experiment(
        name: "commit-before-processing",
        title: "A log's consumer dies in the middle of its work",
        harm: .lost,
        leak: Variant("commit before the work", [.sendAll, .dies { try await workAndDie($0, .beforeWork) }, finish]),
        cure: Variant("commit after the work", [.sendAll, .dies { try await workAndDie($0, .afterWork) }, finish])
    )

    private static let commitAfter = Experiment(
        name: "no-deduplication",
        title: "A log's consumer dies after the work and before the commit; a producer has sent repeats",
        harm: .twice,
        leak: Variant(
            "commit after the work",
            [
                .sendAll, sendSomeAgain,
                .dies { lab in
                    try await withGroup(lab) { try await PlainConsumer(lab).run(DyingSource($0)) }
                }, finish,
            ]
        ),
        cure: Variant(
            "the same, with a ledger",
            effects: .inLedger,
            [
                .sendAll, sendSomeAgain,
                .dies { lab in
                    try await withGroup(lab) { source, _ in try await process(lab, DyingSource(source), until: nil) }
                },
                .works { lab in
                    try await withGroup(lab) { source, broker in
                        try await process(lab, source, until: try broker.logEnds(of: Lab.topic))
                    }
                },
            ]
        )
    )

    /// What has come is processed by a quarter at a time: three eighths are done when it dies.
    private static func workAndDie(_ lab: Lab, _ commit: PlainConsumer.Commit) async throws {
        try await withGroup(lab) { subscription in
            try await PlainConsumer(lab, commit: commit, deathAfter: lab.messages * 3 / 8).run(subscription)
        }
    }

    private static let finish = Step.works { lab in
        try await withGroup(lab) { try await PlainConsumer(lab).run($0) }
    }

    /// The last tenth is in the log once more, as a producer's retry leaves it there.
    private static let sendSomeAgain = Step.works { lab in
        try await lab.withBroker { broker in
            for id in lab.ids.suffix(lab.messages / 10) { try await broker.send(lab.message(id)) }
        }
    }

    private static func withGroup(_ lab: Lab, _ body: (BrokerSubscription) async throws -> Void) async throws {
        try await withGroup(lab) { subscription, _ in try await body(subscription) }
    }

    private static func withGroup(_ lab: Lab, _ body: (BrokerSubscription, Broker) async throws -> Void) async throws {
        try await lab.withBroker {
            $0.maximumFetchMessages = lab.messages / 4
        } _: { broker in
            try await body(broker.subscribe(to: Lab.topic, as: "billing"), broker)
        }
    }

    /// The same work, with its effects in a ledger; without `ends` for ever.
    private static func process(_ lab: Lab, _ source: some Source, until ends: [TopicPartition: Int64]?) async throws {
        let ledger = try Ledger(at: lab.ledger, configuration: Lab.ledgerConfiguration)
        let pipeline = Pipeline(
            "billing",
            from: source,
            ledger: ledger,
            decoding: .raw,
            identifiedBy: .field { $0.text },
            configuration: Lab.pipelineConfiguration
        ) { (message: Message, transaction: borrowing LedgerTransaction) in
            try transaction.update(Lab.effects, message.text, default: 0) { $0 += 1 }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pipeline.run() }
            if let ends { group.addTask { await pipeline.settled(through: ends) } }
            try await group.next()
            group.cancelAll()
        }
        await ledger.close()
    }
}
