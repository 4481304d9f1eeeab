#if RabbitMQ
    import Ratchet
    import RatchetRabbitMQ

    /// Consumers of RabbitMQ that die.
    enum RabbitMQConsumerExperiments {
        static let all = [autoAck, noDeduplication]

        private static let autoAck = Experiment(
            name: "auto-ack",
            title: "A queue's consumer dies with messages in its hands",
            harm: .lost,
            leak: Variant("auto-ack", [sendAll, .dies { try takeAndDie($0, autoAck: true) }, take { $0 - $0 / 5 }]),
            cure: Variant(
                "ack after the work",
                [sendAll, .dies { try takeAndDie($0, autoAck: false) }, take { $0 - $0 / 10 }]
            )
        )

        private static let noDeduplication = Experiment(
            name: "no-deduplication",
            title: "A queue's consumer dies after the work and before the ack; a producer has sent repeats",
            harm: .twice,
            leak: Variant(
                "ack after the work",
                [
                    sendAll, sendSomeAgain,
                    .dies { lab in
                        let client = try lab.client()
                        for _ in 0..<lab.messages / 4 { try work(lab, client, autoAck: false) }
                        OwnProcess.die()
                    }, take { $0 + $0 / 10 },
                ]
            ),
            cure: Variant(
                "the same, with a ledger",
                effects: .inLedger,
                [
                    sendAll, sendSomeAgain,
                    .dies { lab in
                        try await process(lab, DyingSource(try subscription(lab)), untilDone: false)
                    },
                    .works { lab in try await process(lab, try subscription(lab)) },
                ]
            )
        )

        private static let sendAll = Step.works { lab in
            let client = try lab.client()
            try client.declare(lab.queue)
            try send(lab.ids, lab, client)
        }

        /// The last tenth comes once more, as a producer's retry leaves it there.
        private static let sendSomeAgain = Step.works { lab in
            try send(lab.ids.suffix(lab.messages / 10), lab, try lab.client())
        }

        private static func send(_ ids: some Sequence<String>, _ lab: Lab, _ client: PlainRabbitMQ) throws {
            try client.selectConfirms()
            try client.publish(ids, to: lab.queue)
            lab.tell(.sent, ids)
            _ = try client.answers()
            lab.tell(.acknowledged, ids)
            client.close()
        }

        /// Takes a fifth of the messages, does the work of half of them, and dies.
        private static func takeAndDie(_ lab: Lab, autoAck: Bool) throws {
            let client = try lab.client()
            var taken: [PlainRabbitMQ.Delivery] = []
            while taken.count < lab.messages / 5 {
                if let delivery = try client.get(lab.queue, autoAck: autoAck) { taken.append(delivery) }
            }
            for delivery in taken.prefix(lab.messages / 10) {
                lab.tell(.effect, delivery.id)
                if !autoAck { try client.ack(delivery) }
            }
            // Answered behind the acks.
            try client.declare(lab.queue)
            OwnProcess.die()
        }

        /// Does the work of so many messages, and removes the queue. What a dead consumer had comes back when the server
        /// notices.
        private static func take(_ count: @escaping @Sendable (_ messages: Int) -> Int) -> Step {
            .works { lab in
                let client = try lab.client()
                for _ in 0..<count(lab.messages) { try work(lab, client, autoAck: true) }
                try client.delete(lab.queue)
                client.close()
            }
        }

        /// Waits for a message, and does its work.
        private static func work(_ lab: Lab, _ client: PlainRabbitMQ, autoAck: Bool) throws {
            while true {
                guard let delivery = try client.get(lab.queue, autoAck: autoAck) else { continue }
                return lab.tell(.effect, delivery.id)
            }
        }

        // MARK: With a ledger

        private static func subscription(_ lab: Lab) throws -> RabbitMQSubscription {
            guard let url = lab.server.broker else { throw LabError("there is no --broker") }
            var configuration = RabbitMQConfiguration()
            configuration.logger = Lab.logger
            return try RabbitMQSubscription(
                to: lab.queue,
                at: RabbitMQAddress(url),
                as: "billing",
                configuration: configuration
            )
        }

        /// The same work, with its effects in a ledger: until all have happened and the repeats have come, or for ever.
        private static func process(_ lab: Lab, _ source: some Source, untilDone: Bool = true) async throws {
            let ledger = try Ledger(at: lab.ledger, configuration: Lab.ledgerConfiguration)
            let pipeline = Pipeline(
                "billing",
                from: source,
                ledger: ledger,
                decoding: .raw,
                identifiedBy: .messageID,
                configuration: Lab.pipelineConfiguration
            ) { (message: Message, transaction: borrowing LedgerTransaction) in
                try transaction.update(Lab.effects, message.text, default: 0) { $0 += 1 }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await pipeline.run() }
                if untilDone { group.addTask { try await waitUntilDone(lab, ledger) } }
                try await group.next()
                group.cancelAll()
            }
            await ledger.close()
            let client = try lab.client()
            try client.delete(lab.queue)
            client.close()
        }

        private static func waitUntilDone(_ lab: Lab, _ ledger: Ledger) async throws {
            while true {
                let totals = try ledger.totals()
                if totals.processed == lab.messages, totals.duplicates >= lab.messages / 10 { return }
                try await ContinuousClock().sleep(for: .milliseconds(20))
            }
        }
    }
#endif
