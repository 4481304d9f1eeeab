import Ratchet
import RatchetBroker
import Synchronization

/// Producers that do not know, or do not ask, what became of their messages.
enum ProducerExperiments {
    static let all = [noConfirm, transaction, lostAnswer, noRetries, timedOut, nack]

    // MARK: A broker that dies

    private static let noConfirm = Experiment(
        name: "no-confirm",
        title: "The broker dies with messages that it has not written",
        harm: .lost,
        leak: Variant("nobody waits for a confirm", [.dies(sendUnconfirmed), .processLog]),
        cure: Variant("confirms, and sent again until then", [.dies(sendConfirmed), .sendRest, .processLog])
    )

    private static let transaction = Experiment(
        name: "transaction",
        title: "The same, with transactions of ten messages",
        harm: .lost,
        leak: Variant("no transaction, nobody waits", [.dies(sendUnconfirmed), .processLog]),
        cure: Variant("transactions, begun again if need be", [.dies(sendInTransactions), transactRest, .processLog])
    )

    /// Hands all messages over; the disk stands still when half of them are written, and then the process dies.
    @Sendable private static func sendUnconfirmed(_ lab: Lab) async throws {
        try await lab.withBroker { broker in
            try await broker.createTopic(Lab.topic)
            var settings = ProducerSettings()
            settings.acks = .none
            let producer = try await broker.producer(settings)
            for (index, id) in lab.ids.enumerated() {
                if index == lab.messages / 2 { try await broker.stopDisk() }
                _ = try await producer.enqueue(lab.message(id))
                lab.tell(.sent, id)
            }
            OwnProcess.die()
        }
    }

    /// The same with confirms: of half of the messages the sender knows nothing when the process dies.
    @Sendable private static func sendConfirmed(_ lab: Lab) async throws {
        try await lab.withBroker { broker in
            try await broker.createTopic(Lab.topic)
            let producer = try await broker.producer()
            let ids = lab.ids
            let start = ContinuousClock.now
            try await lab.send(ids.prefix(lab.messages / 2), producer)
            lab.tellRate(lab.messages / 2, since: start)
            try await broker.stopDisk()
            for id in ids.dropFirst(lab.messages / 2) {
                _ = try await producer.enqueue(lab.message(id))
                lab.tell(.sent, id)
            }
            OwnProcess.die()
        }
    }

    /// Half of the messages, and then the process dies with a transaction open.
    @Sendable private static func sendInTransactions(_ lab: Lab) async throws {
        try await lab.withBroker { broker in
            try await broker.createTopic(Lab.topic)
            let producer = try await broker.producer(ProducerSettings(transactionalID: "shop"))
            let start = ContinuousClock.now
            try await transact(lab.ids.prefix(lab.messages / 2), lab, producer)
            lab.tellRate(lab.messages / 2, since: start)
            try await producer.transaction { transaction in
                for id in lab.ids.dropFirst(lab.messages / 2).prefix(10) {
                    try transaction.send(lab.message(id))
                    lab.tell(.sent, id)
                }
                OwnProcess.die()
            }
        }
    }

    private static func transact(_ ids: ArraySlice<String>, _ lab: Lab, _ producer: Producer) async throws {
        var rest = ids
        while !rest.isEmpty {
            let some = rest.prefix(10)
            lab.tell(.sent, some)
            try await producer.transaction { for id in some { try $0.send(lab.message(id)) } }
            lab.tell(.acknowledged, some)
            rest = rest.dropFirst(10)
        }
    }

    private static let transactRest = Step.works { lab in
        try await lab.withBroker { broker in
            let producer = try await broker.producer(ProducerSettings(transactionalID: "shop"))
            try await transact(try lab.unconfirmed()[...], lab, producer)
        }
    }

    // MARK: A network that loses requests and answers

    private static let lostAnswer = Experiment(
        name: "lost-answer",
        title: "Every tenth answer is lost, and the producer sends again",
        harm: .twice,
        leak: Variant(
            "without sequence numbers",
            [onBadNetwork([.answerLost]) { $0.isIdempotent = false }, .processLog]
        ),
        cure: Variant("idempotent", [onBadNetwork([.answerLost]) { _ in }, .processLog])
    )

    private static let noRetries = Experiment(
        name: "no-retries",
        title: "Every tenth request is lost, and nobody looks at the error",
        harm: .lost,
        leak: Variant("retries 0", [onBadNetwork([.requestLost], asks: false) { $0.retries = 0 }, .processLog]),
        cure: Variant("retries without end", [onBadNetwork([.requestLost], asks: false) { _ in }, .processLog])
    )

    private static let timedOut = Experiment(
        name: "timed-out",
        title: "Every tenth send times out: its request was lost, or its answer",
        harm: .unknown,
        leak: Variant("retries 0", [onBadNetwork([.requestLost, .answerLost]) { $0.retries = 0 }, .processLog]),
        cure: Variant(
            "idempotent, retries without end",
            [onBadNetwork([.requestLost, .answerLost]) { _ in }, .processLog]
        )
    )

    /// Sends all messages, one after the other, while every tenth batch meets with the next of `faults`. Without `asks`
    /// nobody looks at what became of a message.
    private static func onBadNetwork(
        _ faults: [ProducerFault],
        asks: Bool = true,
        _ change: @escaping @Sendable (inout ProducerSettings) -> Void
    ) -> Step {
        .works { lab in
            let batches = Mutex(0)
            try await lab.withBroker { configuration in
                configuration.producerFault = {
                    let number = batches.withLock { count in
                        count += 1
                        return count
                    }
                    return number % 10 == 0 ? faults[number / 10 % faults.count] : nil
                }
            } _: { broker in
                try await broker.createTopic(Lab.topic)
                var settings = ProducerSettings()
                settings.retryDelay = .milliseconds(1)
                change(&settings)
                let producer = try await broker.producer(settings)
                for id in lab.ids { try await send(id, lab, producer, asks: asks) }
                try await producer.close()
            }
        }
    }

    private static func send(_ id: String, _ lab: Lab, _ producer: Producer, asks: Bool) async throws {
        lab.tell(.sent, id)
        guard asks else {
            _ = try await producer.enqueue(lab.message(id))
            return try await producer.flush()
        }
        do {
            try await producer.send(lab.message(id))
            lab.tell(.acknowledged, id)
        } catch let error as BrokerError where error.code == .timedOut {
            lab.tell(.unknown, id)
        }
    }

    // MARK: A broker that says no

    private static let nack = Experiment(
        name: "nack",
        title: "The broker's disk is full, and it says so",
        harm: .lost,
        leak: Variant("the nack is ignored", [fullDisk(isHeeded: false), .processLog]),
        cure: Variant("the nack is heeded: sent again", [fullDisk(isHeeded: true), .processLog])
    )

    /// Half of the messages meet with a full disk; an operator makes room once all were handed over.
    private static func fullDisk(isHeeded: Bool) -> Step {
        .works { lab in
            try await lab.withBroker {
                $0.maximumBytes = 4 << 20
            } _: { broker in
                try await broker.createTopic(Lab.topic)
                var settings = ProducerSettings()
                settings.retryDelay = .milliseconds(5)
                if !isHeeded { settings.retries = 0 }
                let producer = try await broker.producer(settings)
                let ids = lab.ids
                try await lab.send(ids.prefix(lab.messages / 2), producer)
                try await broker.fillDisk()
                var confirmations: [(String, Confirmation)] = []
                for id in ids.dropFirst(lab.messages / 2) {
                    confirmations.append((id, try await producer.enqueue(lab.message(id))))
                    lab.tell(.sent, id)
                }
                if !isHeeded { try await producer.flush() }
                try await broker.deleteTopic("old")
                guard isHeeded else { return }
                for (id, confirmation) in confirmations {
                    _ = try await confirmation.wait()
                    lab.tell(.acknowledged, id)
                }
            }
        }
    }
}

extension Broker {
    /// Lets the broker's disk stand still: what was sent before is written, and nothing after.
    func stopDisk() async throws {
        try await createTopic("disk")
        let producer = try await producer()
        let (stopped, continuation) = AsyncStream<Never>.makeStream()
        try await producer.enqueue(OutgoingMessage(to: "disk", payload: [])) { _ in
            continuation.finish()
            // This is the one thread that writes.
            OwnProcess.standStill()
        }
        for await _ in stopped {}
    }

    /// Fills the broker's disk with messages of the topic `old`, until it takes none of any size.
    fileprivate func fillDisk() async throws {
        try await createTopic("old")
        for size in [1 << 16, 1 << 10, 1] {
            while true {
                do { try await send(OutgoingMessage(to: "old", payload: [UInt8](repeating: 0, count: size))) } catch let
                    error as BrokerError where error.code == .full
                { break }
            }
        }
    }
}
