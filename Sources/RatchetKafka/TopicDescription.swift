#if Kafka
    import Ratchet

    /// What a cluster has told of a topic, and what it means for an audit. Pure.
    struct TopicDescription: Sendable {
        /// How many replicas each partition has.
        var replicas: [Int]
        /// The topic's settings with the cluster's defaults, or why they could not be read.
        var settings: Result<[String: String], KafkaError>

        var audited: AuditedChain.Topic {
            let minimum: AuditFact<Int> = fact("min.insync.replicas") { Int($0) }
            return AuditedChain.Topic(
                isDurable: .known(true),
                isPersistent: .known(true),
                confirmsAfterWrite: confirmsAfterWrite(minimum),
                replicationFactor: replicas.min().map { .known($0) } ?? .unreadable("the topic has no partitions"),
                minInSyncReplicas: minimum,
                allowsUncleanElection: fact("unclean.leader.election.enable") { Bool($0) },
                retention: limit("retention.ms") { .milliseconds($0) },
                sizeLimit: limit("retention.bytes") { Int(clamping: $0) },
                isCompacted: fact("cleanup.policy") { $0.contains("compact") }
            )
        }

        private func fact<Value>(_ name: String, _ read: (String) -> Value?) -> AuditFact<Value> {
            switch settings {
            case .failure(let error): return .unreadable(error.description)
            case .success(let settings):
                guard let text = settings[name] else { return .unreadable("the cluster does not tell \(name)") }
                return read(text).map { .known($0) } ?? .unreadable("\(name) is '\(text)'")
            }
        }

        /// A broker of Kafka confirms before it syncs, unless told to sync each message: what stands for the sync is that
        /// others have the message too.
        private func confirmsAfterWrite(_ minimum: AuditFact<Int>) -> AuditFact<Bool> {
            if case .known(1) = fact("flush.messages", { Int($0) }) { return .known(true) }
            guard case .known(let minimum) = minimum else {
                return .unreadable("it hangs on min.insync.replicas and flush.messages")
            }
            return .known(minimum >= 2)
        }

        /// A limit beyond which the oldest messages go; nil, for none, below 0 and where nothing is deleted.
        private func limit<Value: Sendable & Hashable>(
            _ name: String,
            _ value: (Int64) -> Value
        ) -> AuditFact<Value?> {
            fact("cleanup.policy") { $0 }.flatMap { (policy: String) in
                guard policy.contains("delete") else { return .known(nil) }
                return fact(name) { Int64($0) }.map { $0 < 0 ? nil : value($0) }
            }
        }
    }

    extension AuditFact {
        fileprivate func flatMap<Other>(_ transform: (Value) -> AuditFact<Other>) -> AuditFact<Other> {
            switch self {
            case .known(let value): transform(value)
            case .unreadable(let why): .unreadable(why)
            }
        }

        fileprivate func map<Other>(_ transform: (Value) -> Other) -> AuditFact<Other> {
            flatMap { .known(transform($0)) }
        }
    }
#endif
