#if RabbitMQ
    import Ratchet

    /// What the management API says of a queue. Pure.
    struct QueueFacts: Sendable {
        private let json: JSON

        init(_ json: JSON) { self.json = json }

        /// What an argument of the queue and what its policies say, in this order.
        private func settings(_ name: String) -> AuditFact<[JSON]> {
            let (arguments, policy) = (json["arguments"], json["effective_policy_definition"])
            for (part, name) in [(arguments, "arguments"), (policy, "effective_policy_definition")]
            where part == .none {
                return .unreadable("the management API does not say '\(name)'")
            }
            return .known([arguments["x-\(name)"], policy[name]].filter { $0 != .none })
        }

        /// An argument counts, and without it the policy.
        private func setting(_ name: String) -> AuditFact<JSON?> { map(settings(name)) { $0.first } }

        /// Of an argument and a policy the smaller one counts; nil for no limit.
        private func limit(_ name: String) -> AuditFact<Int?> {
            map(settings(name)) { $0.compactMap(\.integer).min() }
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
                confirmsAfterWrite: map(kind) { _ in true },
                replicationFactor: replicas,
                minInSyncReplicas: map(replicas) { isQuorum ? $0 / 2 + 1 : 1 },
                allowsUncleanElection: map(replicas) { !isQuorum && $0 > 1 },
                retention: map(timeToLive) { $0.map { .milliseconds($0) } }
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
            // Of a classic queue the others are told only where there are some.
            return map(kind) { _ in 1 + (json["slave_nodes"].items?.count ?? 0) }
        }

        private func map<A, B>(_ fact: AuditFact<A>, _ body: (A) -> B) -> AuditFact<B> {
            switch fact {
            case .known(let value): .known(body(value))
            case .unreadable(let why): .unreadable(why)
            }
        }

        var hasDeadLetters: AuditFact<Bool> { map(setting("dead-letter-exchange")) { $0?.text != nil } }
        var deliveryLimit: AuditFact<Int?> { limit("delivery-limit") }
        var timeToLive: AuditFact<Int?> { limit("message-ttl") }
        /// After how many milliseconds without a consumer the queue itself goes.
        var expires: AuditFact<Int?> { limit("expires") }

        /// What lets the queue go by itself, with all that is in it; nil for nothing.
        var end: AuditFact<String?> {
            let flags = ["auto_delete", "exclusive"].map { ($0, fact(json[$0].flag, $0)) }
            if let (name, _) = flags.first(where: { $0.1 == .known(true) }) { return .known(name) }
            for case (_, .unreadable(let why)) in flags { return .unreadable(why) }
            return map(expires) { $0.map { "after \($0) ms without a consumer" } }
        }

        /// A limit of its length beyond which the oldest messages go; nil for none.
        var droppingLimit: AuditFact<String?> {
            map(setting("overflow")) { overflow in
                guard overflow?.text?.hasPrefix("reject-publish") != true else { return nil }
                for name in ["max-length", "max-length-bytes"] {
                    if case .known(let limit?) = limit(name) { return "\(name) \(limit)" }
                }
                return nil
            }
        }

        /// How many consume, and whether one at a time.
        var consumers: AuditFact<String> {
            switch (acksByHand, hasSingleActiveConsumer) {
            case (.unreadable(let why), _), (_, .unreadable(let why)): .unreadable(why)
            case (.known(let all), .known(let isSingle)): .known("\(all.count)\(isSingle ? ", one at a time" : "")")
            }
        }

        var hasSingleActiveConsumer: AuditFact<Bool> { map(setting("single-active-consumer")) { $0?.flag == true } }

        /// Its consumers, and whether each acks by hand.
        var acksByHand: AuditFact<[Bool]> {
            guard let consumers = json["consumer_details"].items else {
                return .unreadable("the management API does not list the consumers")
            }
            let acks = consumers.map { $0["ack_required"].flag }
            guard !acks.contains(nil) else { return .unreadable("the management API does not say 'ack_required'") }
            return .known(acks.compactMap(\.self))
        }
    }
#endif
