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

        /// Of a stream a policy counts, and without it the argument.
        private func streamSetting(_ name: String) -> AuditFact<JSON?> { map(settings(name)) { $0.last } }

        /// How old a stream's messages become; nil for any age.
        private var maximumAge: AuditFact<Duration?> { limit("max-age") { $0.text.flatMap(Self.age) } }

        /// How large a stream becomes; nil for any size.
        private var maximumBytes: AuditFact<Int?> { limit("max-length-bytes") { $0.integer } }

        private func limit<Value>(_ name: String, _ read: (JSON) -> Value?) -> AuditFact<Value?> {
            switch streamSetting(name) {
            case .unreadable(let why): .unreadable(why)
            case .known(nil): .known(nil)
            case .known(let setting?):
                read(setting).map { .known($0) } ?? .unreadable("the management API says of '\(name)' what is no limit")
            }
        }

        /// `7D`: years of 365 days, months of 30, days, hours, minutes and seconds.
        private static func age(_ text: String) -> Duration? {
            let seconds: [Character: Int64] = [
                "Y": 31_536_000, "M": 2_592_000, "D": 86_400, "h": 3_600, "m": 60, "s": 1,
            ]
            guard let unit = text.last.flatMap({ seconds[$0] }), let count = Int64(text.dropLast()), count >= 0 else {
                return nil
            }
            let (product, isTooLong) = count.multipliedReportingOverflow(by: unit)
            return isTooLong ? nil : .seconds(product)
        }

        private func fact<Value>(_ value: Value?, _ name: String) -> AuditFact<Value> {
            value.map { .known($0) } ?? .unreadable("the management API does not say '\(name)'")
        }

        var kind: AuditFact<String> { fact(json["type"].text, "type") }
        private var isQuorum: Bool { kind == .known("quorum") }
        var isStream: Bool { kind == .known("stream") }
        /// Whether most of its nodes have what is confirmed.
        private var isByMajority: Bool { isQuorum || isStream }

        /// The queue as every broker's topic is looked at.
        var topic: AuditedChain.Topic {
            AuditedChain.Topic(
                isDurable: fact(json["durable"].flag, "durable"),
                isPersistent: isPersistent,
                confirmsAfterWrite: confirmsAfterWrite,
                replicationFactor: replicas,
                minInSyncReplicas: map(replicas) { isByMajority ? $0 / 2 + 1 : 1 },
                allowsUncleanElection: map(replicas) { !isByMajority && $0 > 1 },
                retention: isStream ? maximumAge : map(timeToLive) { $0.map { .milliseconds($0) } },
                sizeLimit: isStream ? maximumBytes : nil
            )
        }

        /// A quorum queue confirms what most nodes have synced, a classic one what its node has. A stream syncs nothing: what
        /// stands for that is that other nodes have the message too.
        private var confirmsAfterWrite: AuditFact<Bool> {
            isStream ? map(replicas) { $0 > 1 } : map(kind) { _ in true }
        }

        /// A quorum queue writes everything, as a stream does; of a classic one it is seen by what waits in it.
        private var isPersistent: AuditFact<Bool> {
            if isByMajority { return .known(true) }
            guard let messages = json["messages"].integer, let persistent = json["messages_persistent"].integer else {
                return .unreadable("the management API does not count persistent messages")
            }
            guard messages > 0 else { return .unreadable("no message is in the queue to be looked at") }
            return .known(persistent >= messages)
        }

        private var replicas: AuditFact<Int> {
            if isByMajority { return fact(json["members"].items?.count, "members") }
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
