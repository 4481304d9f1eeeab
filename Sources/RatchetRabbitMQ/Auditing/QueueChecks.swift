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
            let checks = [
                check("queue.type", found, "quorum or stream", \.kind, \.self) { kind, _ in
                    ["quorum", "stream"].contains(kind)
                        ? nil : (.warn, "Its messages are on one node's disk, and deliveries are not counted.")
                },
                check("queue.stays", found, "until it is deleted", \.end, { $0 ?? "until it is deleted" }) { end, _ in
                    end == nil ? nil : (.fail, "A queue that goes by itself takes its messages with it.")
                },
            ]
            // A stream keeps what is done, and gives it to all: what goes from it is looked at as every log's retention.
            if case .known(let json) = found, QueueFacts(json).isStream { return checks }
            return checks + ofDeliveries(found)
        }

        /// What becomes of messages that wait, and of those that are delivered.
        private static func ofDeliveries(_ found: AuditFact<JSON>) -> [AuditCheck] {
            let limited = "none, or a dead-letter exchange"
            return [
                check(
                    "queue.overflow",
                    found,
                    "reject-publish, or no limit",
                    \.droppingLimit,
                    { $0 ?? "no messages go" }
                ) { limit, _ in
                    limit == nil ? nil : (.fail, "A full queue lets its oldest messages go, confirmed as they are.")
                },
                check("queue.expiry", found, limited, \.timeToLive, { text($0, "ms") }) { limit, facts in
                    guard limit != nil, facts.hasDeadLetters != .known(true) else { return nil }
                    return (.fail, "What waits for longer than that is lost.")
                },
                check("queue.delivery-limit", found, limited, \.deliveryLimit, { text($0, "deliveries") }) {
                    limit,
                    facts in
                    guard limit != nil, facts.hasDeadLetters != .known(true) else { return nil }
                    return (.fail, "What was delivered so often is lost, and each shutdown and lost connection counts.")
                },
                check("queue.manual-acks", found, "of all consumers", \.acksByHand, acks) { acks, _ in
                    if acks.isEmpty { return unknown }
                    return acks.contains(false)
                        ? (.fail, "What a consumer was sent and has not done is lost with it.") : nil
                },
                check("queue.consumers", found, "one at a time, or all with one ledger", \.consumers, \.self) {
                    _,
                    facts in
                    guard case .known(let acks) = facts.acksByHand, acks.count > 1,
                        facts.hasSingleActiveConsumer != .known(true)
                    else { return nil }
                    return (.warn, "Consumers with other ledgers do not know each other's keys: route by id.")
                },
            ]
        }

        /// `policy` is the one that the exchange names, where it names one.
        static func alternate(_ found: AuditFact<JSON>, policy: AuditFact<JSON> = .known(.none)) -> AuditCheck {
            let (name, expected) = ("exchange.alternate", "an alternate exchange")
            let exchange: String?
            switch (found, policy) {
            case (.unreadable(let why), _): return unreadable(name, expected, why)
            case (.known(let json), _) where json["arguments"] == .none:
                return unreadable(name, expected, "the management API does not say 'arguments'")
            case (.known(let json), .unreadable(let why)):
                exchange = json["arguments"]["alternate-exchange"].text
                if exchange == nil { return unreadable(name, expected, why) }
            case (.known(let json), .known(let policy)):
                exchange =
                    json["arguments"]["alternate-exchange"].text ?? policy["definition"]["alternate-exchange"].text
            }
            let fault: Fault = (.warn, "What no queue takes is lost, unless its producer sends it as mandatory.")
            return make(name, exchange ?? "none", expected, exchange == nil ? fault : nil)
        }

        private static let unknown: Fault = (.unreadable, "It is not known to be so.")

        /// Looks at one fact. `fault` may look at others as well.
        private static func check<Value>(
            _ name: String,
            _ found: AuditFact<JSON>,
            _ expected: String,
            _ fact: (QueueFacts) -> AuditFact<Value>,
            _ text: (Value) -> String,
            fault: (Value, QueueFacts) -> Fault?
        ) -> AuditCheck {
            let facts: QueueFacts
            switch found {
            case .known(let json): facts = QueueFacts(json)
            case .unreadable(let why): return unreadable(name, expected, why)
            }
            switch fact(facts) {
            case .known(let value): return make(name, text(value), expected, fault(value, facts))
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

        private static func text(_ limit: Int?, _ unit: String) -> String { limit.map { "\($0) \(unit)" } ?? "none" }

        private static func acks(_ all: [Bool]) -> String {
            all.isEmpty
                ? "could not be read: no consumer is there to be looked at"
                : "\(all.count { $0 }) of \(all.count) consumers"
        }
    }
#endif
