#if RabbitMQ
    import CRabbitMQ
    import FoundationEssentials
    import Ratchet
    import Testing

    @testable import RatchetRabbitMQ

    @Suite struct QueueChecksTests {
        private static func verdicts(_ json: String) throws -> [String: AuditCheck.Verdict] {
            let json = try JSONDecoder().decode(JSON.self, from: Data(json.utf8))
            var chain = AuditedChain()
            chain.topic = QueueChecks.topic(.known(json))
            let checks = Audit.of(chain).checks + QueueChecks.of(.known(json))
            return Dictionary(uniqueKeysWithValues: checks.map { ($0.name, $0.verdict) })
        }

        @Test("A replicated quorum queue with one consumer that acks by hand is well")
        func sound() throws {
            let verdicts = try Self.verdicts(
                """
                {"type": "quorum", "durable": true, "auto_delete": false, "exclusive": false, "members": ["a", "b", "c"], "arguments": {"x-queue-type": "quorum"},
                 "effective_policy_definition": [], "consumer_details": [{"ack_required": true}]}
                """
            )
            #expect(verdicts.values.allSatisfy { $0 == .pass }, "\(verdicts)")
        }

        @Test("Each leak is found, by argument or by policy")
        func leaks() throws {
            let verdicts = try Self.verdicts(
                """
                {"type": "classic", "durable": false, "messages": 3, "messages_persistent": 1,
                 "arguments": {"x-max-length": 5, "x-message-ttl": 1000},
                 "effective_policy_definition": {"delivery-limit": 3, "overflow": "drop-head"},
                 "consumer_details": [{"ack_required": true}, {"ack_required": false}]}
                """
            )
            let failing = verdicts.filter { $0.value == .fail }.keys.sorted()
            #expect(
                failing == [
                    "queue.delivery-limit", "queue.expiry", "queue.manual-acks", "queue.overflow", "topic.durable",
                    "topic.persistent-messages",
                ]
            )
            for name in ["queue.type", "queue.consumers"] { #expect(verdicts[name] == .warn) }
        }

        @Test("A stream of several nodes is well, and one of a single node has confirmed what is not synced")
        func streams() throws {
            func verdicts(_ members: String, _ arguments: String = "", policy: String = "") throws
                -> [String: AuditCheck.Verdict]
            {
                try Self.verdicts(
                    """
                    {"type": "stream", "durable": true, "auto_delete": false, "exclusive": false, "members": [\(members)],
                     "arguments": {"x-queue-type": "stream"\(arguments)}, "effective_policy_definition": {\(policy)},
                     "consumer_details": []}
                    """
                )
            }
            let sound = try verdicts(#""a", "b", "c""#)
            #expect(sound.values.allSatisfy { $0 == .pass } && sound["queue.overflow"] == nil, "\(sound)")
            let single = try verdicts(#""a""#)
            #expect(single["topic.confirm-after-write"] == .fail && single["topic.replication-factor"] == .warn)
            let limited = try verdicts(#""a", "b", "c""#, #", "x-max-length-bytes": 20000"#)
            #expect(limited["topic.size-limit"] == .warn)
            let unsaid = try verdicts(#""a", "b", "c""#, #", "x-max-length-bytes": "much""#)
            #expect(unsaid["topic.size-limit"] == .unreadable)
        }

        @Test("A stream's retention is its age by policy, or by argument, and nothing that is no age")
        func ages() throws {
            func retention(_ argument: String, _ policy: String) throws -> AuditFact<Duration?> {
                let json = """
                    {"type": "stream", "arguments": {\(argument)}, "effective_policy_definition": {\(policy)}}
                    """
                return QueueFacts(try JSONDecoder().decode(JSON.self, from: Data(json.utf8))).topic.retention
            }
            #expect(try retention("", "") == .known(nil))
            #expect(try retention(#""x-max-age": "7D""#, "") == .known(.seconds(7 * 86_400)))
            #expect(try retention(#""x-max-age": "7D""#, #""max-age": "36h""#) == .known(.seconds(36 * 3_600)))
            for text in ["7", "D", "", "-1D", "9223372036854775807Y"] {
                guard case .unreadable = try retention("\"x-max-age\": \"\(text)\"", "") else {
                    Issue.record("'\(text)' was taken for an age")
                    continue
                }
            }
        }

        @Test("With dead letters, a refusing overflow and a single active consumer the same is no loss")
        func cured() throws {
            let verdicts = try Self.verdicts(
                """
                {"type": "quorum", "durable": true, "auto_delete": false, "exclusive": false, "members": ["a", "b", "c"],
                 "arguments": {"x-max-length": 5, "x-overflow": "reject-publish", "x-delivery-limit": 3,
                 "x-dead-letter-exchange": "d", "x-single-active-consumer": true},
                 "effective_policy_definition": {"message-ttl": 1000},
                 "consumer_details": [{"ack_required": true}, {"ack_required": true}]}
                """
            )
            #expect(verdicts.values.allSatisfy { $0 == .pass }, "\(verdicts)")
        }

        @Test("What is not said is not known, and never well")
        func unsaid() throws {
            let json = try JSONDecoder().decode(JSON.self, from: Data("{}".utf8))
            var chain = AuditedChain()
            chain.topic = QueueChecks.topic(.known(json))
            let topic = Audit.of(chain).checks.filter { $0.name.hasPrefix("topic.") }
            let checks = topic + QueueChecks.of(.known(json)) + [QueueChecks.alternate(.known(json))]
            for check in checks {
                #expect(check.verdict == .unreadable, "\(check)")
            }
            let unread = QueueChecks.of(.unreadable("no right")) + [QueueChecks.alternate(.unreadable("no right"))]
            #expect(unread.allSatisfy { $0.verdict == .unreadable && $0.found.contains("no right") })
        }

        @Test("A queue that goes by itself is found, with its messages or with its connection")
        func vanishing() throws {
            func verdict(_ settings: String) throws -> AuditCheck.Verdict? {
                try Self.verdicts("{\(settings), \"effective_policy_definition\": {}}")["queue.stays"]
            }
            let stays = "\"auto_delete\": false, \"exclusive\": false"
            #expect(try verdict("\(stays), \"arguments\": {}") == .pass)
            #expect(try verdict("\(stays), \"arguments\": {\"x-expires\": 60000}") == .fail)
            #expect(try verdict("\"auto_delete\": true, \"exclusive\": false, \"arguments\": {}") == .fail)
            #expect(try verdict("\"auto_delete\": false, \"exclusive\": true, \"arguments\": {}") == .fail)
            #expect(try verdict("\"exclusive\": false, \"arguments\": {}") == .unreadable)
            #expect(try verdict("\"auto_delete\": false, \"arguments\": {}") == .unreadable)
        }

        @Test("Where an argument and a policy both limit a queue, the smaller limit counts")
        func smaller() throws {
            let json = """
                {"arguments": {"x-message-ttl": 5000, "x-delivery-limit": 9, "x-max-length": 3},
                 "effective_policy_definition": {"message-ttl": 1000, "delivery-limit": 4, "expires": 7,
                 "max-length": 2}}
                """
            let facts = QueueFacts(try JSONDecoder().decode(JSON.self, from: Data(json.utf8)))
            #expect(facts.timeToLive == .known(1_000) && facts.deliveryLimit == .known(4))
            #expect(facts.expires == .known(7) && facts.droppingLimit == .known("max-length 2"))
        }
    }

    @Suite struct RabbitMQAuditTests {
        @Test("With amqps nothing is asked without TLS, unless that is allowed")
        func encrypted() async throws {
            let address = try RabbitMQAddress("amqps://bob:geheim@127.0.0.1")
            // Nobody listens there: whoever asks is told so.
            for (isAllowed, reason) in [(false, "without TLS"), (true, "cannot be reached")] {
                let audit = RabbitMQAudit(
                    of: "q",
                    at: address,
                    managementPort: 1,
                    sendsPasswordInClear: isAllowed
                )
                let check = await audit.report().checks.first { $0.name == "queue.type" }
                #expect(check?.verdict == .unreadable && check?.found.contains(reason) == true, "\(check?.found ?? "")")
            }
        }

        @Test("Settings of a producer and a consumer that are not given could not be read")
        func notGiven() async throws {
            let audit = RabbitMQAudit(of: "q", at: try RabbitMQAddress("amqp://127.0.0.1"), managementPort: 1)
            let checks = await audit.report().checks
            for name in ["producer.acks", "producer.idempotence", "consumer.settles-after-processing"] {
                #expect(checks.first { $0.name == name }?.verdict == .unreadable, "\(name)")
            }
        }
    }

    extension RabbitMQ {
        @Suite struct AuditTests {
            @Test("A real queue is audited by what its server says, and what cannot be read is told")
            func real() async throws {
                let server = try await RabbitMQServer.running()
                let address = try server.address
                var queue = RabbitMQQueue("audited")
                queue.maximumLength = 7
                queue.overflow = .dropHead
                var topology = RabbitMQTopology()
                topology.add(queue)
                topology.exchanges.append(RabbitMQExchange("audited"))
                try await topology.declare(at: address, configuration: .quick)
                let audit = RabbitMQAudit(
                    of: "audited",
                    exchange: "audited",
                    at: address,
                    managementPort: server.port + 2,
                    timeout: .seconds(60)
                )
                let sink = try RabbitMQSink(at: address, configuration: .quick)
                var report = await audit.report(producer: sink.audited)
                func verdict(_ name: String) -> AuditCheck.Verdict? { report.checks.first { $0.name == name }?.verdict }
                // What a policy says comes with the queue's statistics, some seconds later.
                while verdict("queue.overflow") == .unreadable { report = await audit.report(producer: sink.audited) }
                #expect(verdict("topic.durable") == .pass && verdict("queue.type") == .pass)
                #expect(verdict("queue.overflow") == .fail, "\(report)")
                #expect(verdict("queue.stays") == .pass && verdict("queue.expiry") == .pass, "\(report)")
                #expect(verdict("producer.acks") == .pass && verdict("exchange.alternate") == .warn)
                #expect(verdict("queue.manual-acks") == .unreadable)
                topology = RabbitMQTopology()
                var stream = RabbitMQQueue("audited-stream", kind: .stream)
                stream.maximumBytes = 1_000_000
                topology.add(stream)
                try await topology.declare(at: address, configuration: .quick)
                let streamAudit = RabbitMQAudit(
                    of: "audited-stream",
                    at: address,
                    managementPort: server.port + 2,
                    timeout: .seconds(60)
                )
                report = await streamAudit.report()
                while verdict("topic.size-limit") == .unreadable { report = await streamAudit.report() }
                #expect(verdict("topic.size-limit") == .warn && verdict("queue.type") == .pass, "\(report)")
                #expect(verdict("topic.confirm-after-write") == .fail && verdict("queue.overflow") == nil, "\(report)")
                try await policies(server, address)
                // Nobody answers there.
                let blind = await RabbitMQAudit(of: "audited", at: address, managementPort: 1).report()
                #expect(
                    blind.checks.allSatisfy { $0.verdict == .unreadable || $0.found.hasPrefix("could not") },
                    "\(blind)"
                )
                let stranger = try RabbitMQAddress("amqp://guest:geheim@127.0.0.1:\(server.port)")
                let refused = await RabbitMQAudit(of: "audited", at: stranger, managementPort: server.port + 2).report()
                #expect(refused.verdict == .unreadable && !"\(refused)".contains("geheim"))
            }

            /// What policies say of a queue and an exchange, and what the server knows of two consumers; and that a user to whom
            /// it is not told is told no more than that.
            private func policies(_ server: RabbitMQServer, _ address: RabbitMQAddress) async throws {
                let name = "audited-policy"
                var topology = RabbitMQTopology()
                topology.add(RabbitMQQueue(name))
                topology.exchanges.append(RabbitMQExchange(name))
                try await topology.declare(at: address, configuration: .quick)
                let definition =
                    #"{"delivery-limit":3,"max-length":9,"overflow":"reject-publish","alternate-exchange":"other"}"#
                try await server.order("policy \(name) \(definition)")
                func audit(at address: RabbitMQAddress) async -> [String: AuditCheck] {
                    let port = server.port + 2
                    let audit = RabbitMQAudit(
                        of: name,
                        exchange: name,
                        at: address,
                        managementPort: port,
                        timeout: .seconds(60)
                    )
                    let checks = await audit.report().checks
                    return Dictionary(uniqueKeysWithValues: checks.map { ($0.name, $0) })
                }
                let wires = try [false, true].map { acksByHand in
                    let wire = try Wire(address, .quick)
                    try wire.beginAsking()
                    let isSilent: amqp_boolean_t = acksByHand ? 0 : 1
                    _ = name.withBytes { name in
                        amqp_basic_consume(
                            wire.connection,
                            1,
                            name,
                            amqp_bytes_t(),
                            0,
                            isSilent,
                            0,
                            amqp_table_t()
                        )
                    }
                    return wire
                }
                // Policies and consumers come with the queue's statistics, some seconds later.
                var checks = await audit(at: address)
                while checks["queue.manual-acks"]?.verdict == .unreadable
                    || checks["queue.delivery-limit"]?.verdict != .fail
                { checks = await audit(at: address) }
                #expect(checks["queue.manual-acks"]?.verdict == .fail)
                #expect(checks["queue.manual-acks"]?.found == "1 of 2 consumers")
                #expect(checks["queue.consumers"]?.verdict == .warn && checks["queue.overflow"]?.verdict == .pass)
                #expect(checks["exchange.alternate"]?.found == "other")
                for wire in wires { wire.close() }
                try await server.order("stranger")
                let stranger = try RabbitMQAddress("amqp://stranger:stranger@127.0.0.1:\(server.port)")
                let refused = await audit(at: stranger)
                for check in ["queue.type", "queue.delivery-limit", "queue.manual-acks", "exchange.alternate"] {
                    #expect(refused[check]?.verdict == .unreadable, "\(check)")
                    #expect(refused[check]?.found.contains("refuses 'stranger'") == true, "\(check)")
                }
            }
        }
    }
#endif
