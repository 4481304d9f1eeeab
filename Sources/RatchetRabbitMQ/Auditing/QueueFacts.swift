#if RabbitMQ
    import Ratchet

    /// What the management API says of a queue. Pure.
    struct QueueFacts: Sendable {
        private let json: JSON

        init(_ json: JSON) { self.json = json }

        /// An argument of the queue, or what a policy says instead.
        private func setting(_ name: String) -> JSON {
            let argument = json["arguments"]["x-\(name)"]
            return argument == .none ? json["effective_policy_definition"][name] : argument
        }

        private func fact<Value>(_ value: Value?, _ name: String) -> AuditFact<Value> {
            value.map { .known($0) } ?? .unreadable("the management API does not say '\(name)'")
        }

        var kind: AuditFact<String> { fact(json["type"].text, "type") }
        private var isQuorum: Bool { kind == .known("quorum") }

        /// The queue as every broker's topic is looked at.
        var topic: AuditedChain.Topic {
            AuditedChain.Topic(
                isDurable: fact(json["durable"].flag, "durable"),
                isPersistent: isPersistent,
                // A quorum queue confirms what most nodes have written, a classic one what its node has.
                confirmsAfterWrite: .known(true),
                replicationFactor: replicas,
                minInSyncReplicas: isQuorum ? map(replicas) { $0 / 2 + 1 } : .known(1),
                allowsUncleanElection: isQuorum ? .known(false) : map(replicas) { $0 > 1 },
                retention: .known(setting("message-ttl").integer.map { .milliseconds($0) })
            )
        }

        /// A quorum queue writes everything; of a classic one it is seen by what waits in it.
        private var isPersistent: AuditFact<Bool> {
            if isQuorum { return .known(true) }
            guard let messages = json["messages"].integer, let persistent = json["messages_persistent"].integer else {
                return .unreadable("the management API does not count persistent messages")
            }
            guard messages > 0 else { return .unreadable("no message is in the queue to be looked at") }
            return .known(persistent >= messages)
        }

        private var replicas: AuditFact<Int> {
            if isQuorum { return fact(json["members"].items?.count, "members") }
            return .known(1 + (json["slave_nodes"].items?.count ?? 0))
        }

        private func map<A, B>(_ fact: AuditFact<A>, _ body: (A) -> B) -> AuditFact<B> {
            switch fact {
            case .known(let value): .known(body(value))
            case .unreadable(let why): .unreadable(why)
            }
        }

        var hasDeadLetters: Bool { setting("dead-letter-exchange").text != nil }
        var deliveryLimit: Int? { setting("delivery-limit").integer }
        var timeToLive: Int? { setting("message-ttl").integer }
        /// The name of a limit of its length beyond which the oldest messages go; nil for none.
        var droppingLimit: String? {
            guard setting("overflow").text?.hasPrefix("reject-publish") != true else { return nil }
            return ["max-length", "max-length-bytes"].first { setting($0).integer != nil }
        }
        var hasSingleActiveConsumer: Bool { setting("single-active-consumer").flag == true }

        /// Its consumers, and whether each acks by hand.
        var acksByHand: AuditFact<[Bool]> {
            guard let consumers = json["consumer_details"].items else {
                return .unreadable("the management API does not list the consumers")
            }
            return .known(consumers.map { $0["ack_required"].flag ?? false })
        }
    }
#endif
