#if RabbitMQ
    /// What a single real RabbitMQ shows.
    enum RabbitMQExperiments {
        static let all =
            [noConfirm, transaction, unroutable, nack, overflow, transientQueue, transientMessages]
            + RabbitMQConsumerExperiments.all

        // MARK: A server that dies

        private static let noConfirm = Experiment(
            name: "no-confirm",
            title: "The broker dies with messages that it has not read",
            harm: .lost,
            killsServer: true,
            leak: Variant("nobody waits for a confirm", [dieUnread(confirms: false), takeAll]),
            cure: Variant(
                "confirms, and sent again until then",
                [dieUnread(confirms: true), sendRest, takeAll]
            )
        )

        /// The server stands still when half of the messages are there, or, if nobody asks, before the first of them.
        private static func dieUnread(confirms: Bool) -> Step {
            .works { lab in
                let client = try lab.client()
                try client.declare(lab.queue)
                var rest = lab.ids[...]
                if confirms {
                    try client.selectConfirms()
                    let start = ContinuousClock.now
                    try publishAndAsk(rest.prefix(lab.messages / 2), lab, client)
                    lab.tellRate(lab.messages / 2, since: start)
                    rest = rest.dropFirst(lab.messages / 2)
                }
                try await lab.server.order(.pause)
                try client.publish(rest, to: lab.queue)
                lab.tell(.sent, rest)
                try await restart(lab)
            }
        }

        private static func publishAndAsk(
            _ ids: some Sequence<String>,
            _ lab: Lab,
            _ client: PlainRabbitMQ,
            isPersistent: Bool = true
        ) throws {
            try client.publish(ids, to: lab.queue, isPersistent: isPersistent)
            lab.tell(.sent, ids)
            guard try client.answers().refused.isEmpty else { throw LabError("the server has refused messages") }
            lab.tell(.acknowledged, ids)
        }

        private static let sendRest = Step.works { lab in
            let client = try lab.client()
            try client.selectConfirms()
            try publishAndAsk(try lab.unconfirmed(), lab, client)
            client.close()
        }

        /// Every message of the queue has its effect, and the queue goes.
        private static let takeAll = Step.works { lab in
            let client = try lab.client()
            while let delivery = try client.get(lab.queue, autoAck: false) {
                lab.tell(.effect, delivery.id)
                try client.ack(delivery)
            }
            try client.delete(lab.queue)
            client.close()
        }

        private static let transaction = Experiment(
            name: "transaction",
            title: "The same, with transactions of ten messages",
            harm: .lost,
            killsServer: true,
            leak: Variant("no transaction, nobody waits", [dieUnread(confirms: false), takeAll]),
            cure: Variant(
                "transactions, begun again if need be",
                [
                    dieInTransaction, .works { try transact(try $0.unconfirmed()[...], $0, try $0.client()) },
                    takeAll,
                ]
            )
        )

        /// Half of the messages, and then the server dies in a transaction.
        private static let dieInTransaction = Step.works { lab in
            let client = try lab.client()
            try client.declare(lab.queue)
            let start = ContinuousClock.now
            try transact(lab.ids.prefix(lab.messages / 2), lab, client)
            lab.tellRate(lab.messages / 2, since: start)
            try await lab.server.order(.pause)
            let open = lab.ids.dropFirst(lab.messages / 2).prefix(10)
            try client.publish(open, to: lab.queue)
            lab.tell(.sent, open)
            try await restart(lab)
        }

        /// Has the server die and come back, with the queue: one that was made a moment before may be gone.
        private static func restart(_ lab: Lab) async throws {
            try await lab.restart()
            let client = try lab.client()
            try client.declare(lab.queue)
            client.close()
        }

        private static let transactRest = Step.works { lab in
            let client = try lab.client()
            try transact(try lab.unconfirmed()[...], lab, client)
            client.close()
        }

        private static func transact(_ ids: ArraySlice<String>, _ lab: Lab, _ client: PlainRabbitMQ) throws {
            try client.selectTransactions()
            var rest = ids
            while !rest.isEmpty {
                let some = rest.prefix(10)
                try client.publish(some, to: lab.queue)
                lab.tell(.sent, some)
                try client.commit()
                lab.tell(.acknowledged, some)
                rest = rest.dropFirst(10)
            }
        }

        // MARK: A server that says no, if it is asked

        private static let unroutable = Experiment(
            name: "unroutable",
            title: "No queue takes the messages: it is not there yet",
            harm: .lost,
            leak: Variant(
                "not mandatory",
                [
                    .works { lab in
                        let client = try lab.client()
                        try client.selectConfirms()
                        // Confirmed all the same: the server has done what there was to do.
                        try publishAndAsk(lab.ids, lab, client)
                        try client.declare(lab.queue)
                        client.close()
                    }, takeAll,
                ]
            ),
            cure: Variant("mandatory, and sent again", [sendMandatory, takeAll])
        )

        private static let sendMandatory = Step.works { lab in
            let client = try lab.client()
            try client.selectConfirms()
            try client.publish(lab.ids, to: lab.queue, isMandatory: true)
            lab.tell(.sent, lab.ids)
            let returned = try client.answers().returned
            lab.tell(.refused, returned)
            try client.declare(lab.queue)
            try publishAndAsk(returned, lab, client)
            client.close()
        }

        private static let nack = Experiment(
            name: "nack",
            title: "The queue is full, and the broker says so",
            harm: .lost,
            leak: Variant("the nack is ignored", [fill(isHeeded: false), takeAll]),
            cure: Variant("the nack is heeded: sent again", [fill(isHeeded: true), takeAll])
        )

        private static let overflow = Experiment(
            name: "overflow",
            title: "The queue is full, and nobody says so",
            harm: .lost,
            leak: Variant("overflow drop-head, the default", [fill(refuses: false, isHeeded: true), takeAll]),
            cure: Variant("overflow reject-publish, and sent again", [fill(isHeeded: true), takeAll])
        )

        /// A queue with room for half of the messages. What is refused and heeded is sent again, once there is room.
        private static func fill(refuses: Bool = true, isHeeded: Bool) -> Step {
            .works { lab in
                let client = try lab.client()
                try client.declare(lab.queue, limit: lab.messages / 2, refuses: refuses)
                try client.selectConfirms()
                var rest = lab.ids
                while true {
                    let first = client.publishedCount + 1
                    try client.publish(rest, to: lab.queue)
                    lab.tell(.sent, rest)
                    let answers = try client.answers()
                    lab.tell(.acknowledged, answers.confirmed.map { rest[$0 - first] })
                    rest = answers.refused.map { rest[$0 - first] }
                    if !isHeeded || rest.isEmpty { break }
                    try makeRoom(lab)
                }
                client.close()
            }
        }

        /// What is in the queue has its effect. By another client: its answers must not be taken for confirms.
        private static func makeRoom(_ lab: Lab) throws {
            let other = try lab.client()
            while let delivery = try other.get(lab.queue, autoAck: false) {
                lab.tell(.effect, delivery.id)
                try other.ack(delivery)
            }
            other.close()
        }

        // MARK: A server that is started again

        private static let transientQueue = Experiment(
            name: "transient-topic",
            title: "The broker is restarted",
            harm: .lost,
            killsServer: true,
            leak: Variant(
                "a transient queue",
                [
                    send(isDurable: false),
                    .works { lab in
                        let client = try lab.client()
                        // Made anew: it is not there any more.
                        try client.declare(lab.queue)
                        client.close()
                    }, takeAll,
                ]
            ),
            cure: Variant("a durable queue", [send(), takeAll])
        )

        private static let transientMessages = Experiment(
            name: "transient-messages",
            title: "The broker is restarted, and the queue is durable",
            harm: .lost,
            killsServer: true,
            leak: Variant("transient messages: only the queue is left", [send(isPersistent: false), takeAll]),
            cure: Variant("persistent messages", [send(), takeAll])
        )

        /// All messages are confirmed before the server dies.
        private static func send(isDurable: Bool = true, isPersistent: Bool = true) -> Step {
            .works { lab in
                let client = try lab.client()
                try client.declare(lab.queue, isDurable: isDurable)
                try client.selectConfirms()
                try publishAndAsk(lab.ids, lab, client, isPersistent: isPersistent)
                try await lab.restart()
            }
        }
    }

    extension Lab {
        /// The queue of this side of an experiment.
        var queue: String { String(folder.split(separator: "/").last ?? "loss-lab") }

        func client() throws -> PlainRabbitMQ {
            guard let url = server.broker else { throw LabError("there is no --broker") }
            return try PlainRabbitMQ(url)
        }

        /// The server dies, and comes back.
        func restart() async throws {
            for order in [BrokerServer.Order.kill, .start] { try await server.order(order) }
        }
    }
#endif
