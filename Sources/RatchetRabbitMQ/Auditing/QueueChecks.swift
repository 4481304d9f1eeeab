#if RabbitMQ
    import Ratchet

    /// What only a queue of RabbitMQ can have wrong. Pure.
    enum QueueChecks {
        private typealias Fault = (verdict: AuditCheck.Verdict, risk: String)

        static func topic(_ found: AuditFact<JSON>) -> AuditedChain.Topic {
            switch found {
            case .known(let json): QueueFacts(json).topic
            case .unreadable(let why):
                AuditedChain.Topic(
                    isDurable: .unreadable(why),
                    isPersistent: .unreadable(why),
                    confirmsAfterWrite: .unreadable(why),
                    replicationFactor: .unreadable(why),
                    minInSyncReplicas: .unreadable(why),
                    allowsUncleanElection: .unreadable(why),
                    retention: .unreadable(why)
                )
            }
        }

        static func of(_ found: AuditFact<JSON>) -> [AuditCheck] {
            [
                check("queue.type", found, "quorum", { text($0.kind) }) { facts in
                    switch facts.kind {
                    case .known("quorum"): nil
                    case .known: (.warn, "Its messages are on one node's disk, and deliveries are not counted.")
                    case .unreadable: unknown
                    }
                },
                check("queue.overflow", found, "reject-publish, or no limit", { $0.droppingLimit ?? "no messages go" })
                {
                    $0.droppingLimit == nil
                        ? nil : (.fail, "A full queue lets its oldest messages go, confirmed as they are.")
                },
                check("queue.expiry", found, "none, or a dead-letter exchange", expiry) { facts in
                    guard facts.timeToLive != nil, !facts.hasDeadLetters else { return nil }
                    return (.fail, "What waits for longer than that is lost.")
                },
                check("queue.delivery-limit", found, "none, or a dead-letter exchange", limit) { facts in
                    guard facts.deliveryLimit != nil, !facts.hasDeadLetters else { return nil }
                    return (.fail, "What was delivered so often, as to consumers that died, is lost.")
                },
                check("queue.manual-acks", found, "of all consumers", { acks($0.acksByHand) }) { facts in
                    switch facts.acksByHand {
                    case .known(let all) where all.isEmpty: unknown
                    case .known(let all) where all.contains(false):
                        (.fail, "What a consumer was sent and has not done is lost with it.")
                    case .known: nil
                    case .unreadable: unknown
                    }
                },
                check("queue.consumers", found, "one at a time, or all with one ledger", consumers) { facts in
                    switch facts.acksByHand {
                    case .known(let all) where all.count > 1 && !facts.hasSingleActiveConsumer:
                        (.warn, "Consumers with other ledgers do not know each other's keys: route by id.")
                    case .known: nil
                    case .unreadable: unknown
                    }
                },
            ]
        }

        static func alternate(_ found: AuditFact<JSON>) -> AuditCheck {
            let name = "exchange.alternate"
            switch found {
            case .unreadable(let why): return unreadable(name, "an alternate exchange", why)
            case .known(let json):
                let policy = json["effective_policy_definition"]["alternate-exchange"].text
                let exchange = json["arguments"]["alternate-exchange"].text ?? policy
                return make(
                    name,
                    exchange ?? "none",
                    "an alternate exchange",
                    exchange == nil
                        ? (.warn, "What no queue takes is lost, unless its producer sends it as mandatory.") : nil
                )
            }
        }

        private static let unknown: Fault = (.unreadable, "It is not known to be so.")

        private static func check(
            _ name: String,
            _ found: AuditFact<JSON>,
            _ expected: String,
            _ text: (QueueFacts) -> String,
            fault: (QueueFacts) -> Fault?
        ) -> AuditCheck {
            switch found {
            case .known(let json):
                let facts = QueueFacts(json)
                return make(name, text(facts), expected, fault(facts))
            case .unreadable(let why): return unreadable(name, expected, why)
            }
        }

        private static func unreadable(_ name: String, _ expected: String, _ why: String) -> AuditCheck {
            make(name, "could not be read: \(why)", expected, unknown)
        }

        private static func make(_ name: String, _ found: String, _ expected: String, _ fault: Fault?) -> AuditCheck {
            AuditCheck(
                name: name,
                found: found,
                expected: expected,
                risk: fault?.risk ?? "",
                verdict: fault?.verdict ?? .pass
            )
        }

        private static func text(_ fact: AuditFact<String>) -> String {
            switch fact {
            case .known(let text): text
            case .unreadable(let why): "could not be read: \(why)"
            }
        }

        private static func expiry(_ facts: QueueFacts) -> String {
            facts.timeToLive.map { "after \($0) ms\(deadLetters(facts))" } ?? "none"
        }

        private static func limit(_ facts: QueueFacts) -> String {
            facts.deliveryLimit.map { "\($0) deliveries\(deadLetters(facts))" } ?? "none"
        }

        private static func deadLetters(_ facts: QueueFacts) -> String {
            facts.hasDeadLetters ? ", to a dead-letter exchange" : ", and gone"
        }

        private static func acks(_ fact: AuditFact<[Bool]>) -> String {
            switch fact {
            case .known(let all) where all.isEmpty: "could not be read: no consumer is there to be looked at"
            case .known(let all): "\(all.count { $0 }) of \(all.count) consumers"
            case .unreadable(let why): "could not be read: \(why)"
            }
        }

        private static func consumers(_ facts: QueueFacts) -> String {
            switch facts.acksByHand {
            case .known(let all): "\(all.count)\(facts.hasSingleActiveConsumer ? ", one at a time" : "")"
            case .unreadable(let why): "could not be read: \(why)"
            }
        }
    }
#endif
